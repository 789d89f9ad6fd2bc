"""Words of messages."""

import pytest

from ptychopinn_plugin.config.wording import duration


@pytest.mark.parametrize(
    ('seconds', 'words'),
    [
        (0.2, '0 s'),
        (59.4, '59 s'),
        (59.6, '1 min'),
        (200, '3 min 20 s'),
        (3599.7, '1 h'),
        (7500, '2 h 5 min'),
    ],
)
def test_a_time_is_told_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words
