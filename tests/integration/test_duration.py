"""Warnings and errors of a regression that takes long."""

import warnings

import pytest

from tests.integration.programs import check_duration

pytestmark = pytest.mark.integration


@pytest.mark.parametrize('seconds', [0.5, 44.9])
def test_nothing_is_said_of_a_fast_one(seconds: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        check_duration(seconds)


@pytest.mark.parametrize('seconds', [45.1, 89.9])
def test_a_slow_one_gets_a_warning(seconds: float) -> None:
    with pytest.warns(UserWarning, match=r'the regression took \d+ s, more than 45 s'):
        check_duration(seconds)


def test_a_far_too_slow_one_fails() -> None:
    with pytest.raises(pytest.fail.Exception, match=r'took 91 s, more than 90 s'):
        check_duration(90.6)
