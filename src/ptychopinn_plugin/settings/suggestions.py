"""Names of settings, and messages for unknown ones."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from ptychopinn_plugin.config import Config


def section_by_field(sections: Mapping[str, type[Config]]) -> dict[str, str]:
    """Return the section of each field; each name belongs to one section of a run."""
    return {name: section for section, config in sections.items() for name in config.model_fields}


def describe_unknown(name: str, known: Iterable[str], where: str) -> str:
    """Return the sentence for a name that is no setting, with the nearest ones that are."""
    near = difflib.get_close_matches(name, sorted(known), n=3)
    advice = f'did you mean {" or ".join(near)}?' if near else 'leave it out'
    return f'{where}: there is no setting {name!r}; {advice}'
