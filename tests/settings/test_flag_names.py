"""Names of settings and of ways to read a scan in sentences."""

import ast
import re
from pathlib import Path

import pytest

import ptychopinn_plugin
from ptychopinn_plugin.config.flag_names import with_flags

PACKAGE = Path(ptychopinn_plugin.__file__).parent


@pytest.mark.parametrize(
    ('sentence', 'expected'),
    [
        ('mask them with load_scan(mask=...)', 'mask them with --mask'),
        ("read them with load_scan(dc='corner')", 'read them with --dc corner'),
        ('hold it (update_probe = off)', 'hold it (--update-probe off)'),
        ('refine them (auto = true)', 'refine them (--auto)'),
        ('take object_prior = false', 'take --no-object-prior'),
        ('smaller steps: probe_step = 0.3, or', 'smaller steps: --probe-step 0.3, or'),
        # A line of a settings file, a log of changes, and a value that is no setting.
        ('"epochs = 2" is written so', '"epochs = 2" is written so'),
        ('settings: update_probe = "on"', 'settings: update_probe = "on"'),
        ('inference.auto: False -> True', 'inference.auto: False -> True'),
        ("it says measurement_domain = 'counts'", "it says measurement_domain = 'counts'"),
    ],
)
def test_the_command_line_names_flags(sentence: str, expected: str) -> None:
    assert with_flags(sentence) == expected


def test_no_sentence_sends_a_user_to_the_key_of_a_file_that_a_flag_replaces() -> None:
    found = [
        f'{path}: {node.value}'
        for path in PACKAGE.rglob('*.py')
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8')))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.search(r'(with |\()bad_pixels', node.value)
    ]
    assert not found
