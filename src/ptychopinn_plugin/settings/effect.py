"""Settings without effect on a run: refused where they were typed for it, else left out."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

from pydantic.fields import FieldInfo

from ptychopinn_plugin.config import Architecture
from ptychopinn_plugin.config.architectures import ARCHITECTURES, PUBLISHED
from ptychopinn_plugin.config.base import Job, field_traits
from ptychopinn_plugin.config.unused_fields import why_unused
from ptychopinn_plugin.settings.merge import Sections, Source

logger = logging.getLogger(__name__)


def chosen_architecture(sources: Sequence[Source]) -> Architecture:
    """Return the architecture of a training: the one that is set, else that of the names used.

    Settings in PtychoPINN's own names are those of its network, `cnn`.

    Args:
        sources: the weakest first.
    """
    for source in reversed(sources):
        for name in ARCHITECTURES:
            if source.values.get('architecture') == name:
                return name
    for source in sources:
        if source.uses_legacy_names:
            logger.warning(
                'These are settings of PtychoPINN, so the network is its own: architecture = %r; '
                "set architecture to 'unrolled' for the other one (%s)",
                PUBLISHED,
                source.name,
            )
            return PUBLISHED
    return 'unrolled'


def drop_unused(
    sections: Sections, sources: Sequence[Source], architecture: Architecture | None, job: Job
) -> tuple[list[Source], list[str]]:
    """Return the sources without the settings that have no effect, and the faults among these.

    Args:
        sections: the configs of the job.
        sources: the weakest first.
        architecture: that is trained or that of the model; None for physics alone.
        job: the settings of the other one have no effect.
    """
    fields = {name: info for each in sections.values() for name, info in each.model_fields.items()}
    kept: list[Source] = []
    faults: list[str] = []
    for source in sources:
        # The execution settings of a file serve both jobs.
        only = job if source.kind == 'typed' else None
        reasons = _reasons(source.values, fields, architecture, only)
        if source.kind == 'typed':
            faults += reasons.values()
        elif source.kind == 'shared':
            for reason in reasons.values():
                logger.warning('%s: %s', source.name, reason)
        values = {name: value for name, value in source.values.items() if name not in reasons}
        kept.append(replace(source, values=values))
    return kept, faults


def _reasons(
    values: Mapping[str, object],
    fields: Mapping[str, FieldInfo],
    architecture: Architecture | None,
    job: Job | None,
) -> dict[str, str]:
    """Return why settings have no effect on a job (None: on either), by name."""
    reasons = {}
    for name in values.keys() & fields.keys():
        reason = why_unused(name, fields[name], architecture)
        only = field_traits(fields[name]).job
        if job is not None and only not in (None, job):
            reason = f'{name} has an effect on a {only} only; leave it out of the {job}'
        if reason:
            reasons[name] = reason
    return dict(sorted(reasons.items()))
