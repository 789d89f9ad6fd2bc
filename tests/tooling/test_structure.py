"""The rooms keep their shape."""

from tests.tooling import structure

MOST_NOQA = 15


def test_no_module_name_has_two_meanings() -> None:
    assert structure.shared_names() == {}


def test_exceptions_from_the_linter_stay_few() -> None:
    assert structure.count('noqa') <= MOST_NOQA


def test_every_public_name_has_a_docstring() -> None:
    assert structure.documented_share() == 1.0
