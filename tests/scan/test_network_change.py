"""What a network changed is told apart, in standard deviations of the object."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ptychopinn_plugin.scan import Reconstruction
from ptychopinn_plugin.scan.network_change import change_in_deviations, summarize_change
from tests.io.result_examples import known_quality, known_reconstruction


def changed(factor: float) -> Reconstruction:
    """Return a result whose network changed every pixel by so many standard deviations."""
    _, result = known_reconstruction()
    shape = result.object_canvas.shape
    quality = dataclasses.replace(
        known_quality(shape),
        amplitude_error=np.full(shape, 0.03, np.float32),
        phase_error=(0.04 / np.abs(result.object_canvas)).astype(np.float32),
    )
    change = np.full(shape, 0.05 * factor * 1j, np.complex64)
    found: Reconstruction = dataclasses.replace(result, quality=quality, network_change=change)
    return found


def test_a_change_is_measured_against_amplitude_and_phase_errors_together() -> None:
    found = change_in_deviations(changed(2.0))
    assert found is not None
    lit = np.isfinite(changed(2.0).object_canvas)
    np.testing.assert_allclose(found[lit], 2.0, rtol=1e-5)
    assert np.isnan(found[~lit]).all()


@pytest.mark.parametrize(('factor', 'large'), [(0.5, 0.0), (3.5, 1.0)])
def test_the_summary_counts_what_is_more_than_noise(factor: float, large: float) -> None:
    found = summarize_change(changed(factor))
    assert found is not None
    assert found.rms == pytest.approx(factor, rel=1e-5)
    assert found.large == large
    assert f'{factor:.2g} standard deviations' in found.remark
    assert f'{large:.2%}' in found.remark


def test_without_a_network_or_without_errors_nothing_is_told() -> None:
    whole = changed(1.0)
    for without in ({'quality': None}, {'network_change': None}):
        assert summarize_change(dataclasses.replace(whole, **without)) is None  # type: ignore[arg-type]
