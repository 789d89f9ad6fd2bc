"""The rooms keep their shape."""

from pathlib import Path

import pytest

from tests.tooling import structure

MOST_NOQA = 15


def test_no_module_name_has_two_meanings() -> None:
    assert structure.shared_names() == {}


def test_exceptions_from_the_linter_stay_few() -> None:
    assert structure.count('noqa') <= MOST_NOQA


def test_every_public_name_has_a_docstring() -> None:
    assert structure.undocumented() == []


def test_a_definition_inside_a_function_is_not_public(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = 'class A:\n    def b(self):\n        def c(): ...\n    def _d(self): ...\n'
    (tmp_path / 'module.py').write_text(source)
    monkeypatch.setattr(structure, 'PACKAGE', tmp_path)
    assert structure.undocumented() == ['module.py:1 A', 'module.py:2 b']
