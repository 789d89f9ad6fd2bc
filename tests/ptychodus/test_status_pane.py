"""What the status pane says of scans and results."""

import pytest

from ptychopinn_plugin.hosts.ptychodus.status_pane import in_words_of_ptychodus


@pytest.mark.parametrize(
    ('sentence', 'expected'),
    [
        ('mask them with load_scan(mask=...)', 'mask them with "Apply Bad Pixels Mask" where'),
        ("load_scan(dc='corner')", '`ptychopinn convert --dc corner`'),
        ('hold it (update_probe = off)', 'hold it (update_probe = off)'),
    ],
)
def test_ways_to_read_a_scan_are_those_of_ptychodus(sentence: str, expected: str) -> None:
    assert in_words_of_ptychodus(sentence).startswith(expected)
