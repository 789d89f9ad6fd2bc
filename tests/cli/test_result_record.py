"""`--json` tells how good an object is, for other programs."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from ptychopinn_plugin.cli.result_record import result_json
from tests.cli.conftest import Run
from tests.io.result_examples import known_quality, known_reconstruction


def test_what_is_known_is_a_number_and_what_is_not_is_null() -> None:
    _, result = known_reconstruction()
    bare = json.loads(result_json(dataclasses.replace(result, pixel_size_m=None), {}))
    assert bare['quality'] is None
    assert bare['pixel_size_m'] is None
    assert bare['network'] == {
        'model': 'abc',
        'used': False,
        'change_rms_sigma': None,
        'share_beyond_3_sigma': None,
    }
    shape = result.object_canvas.shape
    quality = known_quality(shape)
    rich = dataclasses.replace(
        result,
        quality=dataclasses.replace(quality, one_bit_limit=0.0),
        network_change=(0.1 * result.object_canvas).astype(np.complex64),
        pixel_size_m=(1e-8, 2e-8),
        remarks=('a "remark"\n',),
        residual=np.array([1.0, np.nan]),
        stages=(),
    )
    found = json.loads(result_json(rich, {'object': 'o.npz'}))
    assert found['files'] == {'object': 'o.npz'}
    # Half a period: 0.5 / 0.4 pixels of at most 20 nm.
    assert found['quality']['resolution_px'] == {'half_bit': 1.25, 'one_bit': None}
    assert found['quality']['resolution_m']['half_bit'] == pytest.approx(2.5e-8)
    assert found['quality']['held_out_misfit'] == 1.04
    assert 1 < found['quality']['phase_error_rad'] < 2
    assert found['network']['used'] is True
    assert found['network']['change_rms_sigma'] > 0
    assert found['residual'] is None
    assert found['found'] == ['a "remark"\n']
    assert found['covered_share'] == pytest.approx(np.isfinite(result.object_canvas).mean())


@pytest.mark.usefixtures('fake_engine')
def test_the_command_prints_json_and_nothing_else(run: Run) -> None:
    shown = run('reconstruct', 'scan.npz', '--output', 'o.npz', '--picture', 'o.png', '--json')
    assert shown.code == 0
    found = json.loads(shown.out)
    assert found['files'] == {'object': 'o.npz', 'picture': 'o.png'}
    assert found['backend'] == 'pytorch'
    assert found['frames'] > 0
