"""Write docs/configuration.md from the fields of the configs: python docs/make_reference.py."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from ptychopinn_plugin.config import (
    Config,
    ExecutionConfig,
    InferenceConfig,
    ModelConfig,
    OrientationConfig,
    TrainingConfig,
)
from ptychopinn_plugin.simulation import SimulationConfig

PAGE = Path(__file__).with_name('configuration.md')
SECTIONS: dict[type[Config], str] = {
    InferenceConfig: '`ptychopinn reconstruct`',
    TrainingConfig: '`ptychopinn train`',
    ModelConfig: '`ptychopinn train`',
    ExecutionConfig: '`ptychopinn train`, `reconstruct` and `demo`',
    OrientationConfig: '`ptychopinn check`, `inspect`, `reconstruct`, `train` and `fixture`',
    SimulationConfig: '`ptychopinn simulate`',
}
HEAD = """\
# Configuration

Every setting, as Python knows it (`ptychopinn_plugin.InferenceConfig` and so on) and as a flag of
the command line: `refine_iterations` is `--refine-iterations`, and a setting that is on or off is a
bare flag. Advanced ones are marked with *.

Where no `backend` is named, the one that is installed is taken, TensorFlow if both are.

This page is made by `python docs/make_reference.py`.
"""
RELATIONS = (('gt', '>'), ('ge', '≥'), ('lt', '<'), ('le', '≤'))


def make_page() -> str:
    """Return the whole page."""
    parts = [HEAD]
    for config, commands in SECTIONS.items():
        parts.append(f'\n## {config.__name__}\n\n{config.__doc__}\n\nFlags of {commands}.\n')
        parts.append('| field | takes | default | meaning |\n| --- | --- | --- | --- |')
        parts += [make_row(name, field) for name, field in config.model_fields.items()]
    return '\n'.join(parts) + '\n'


def make_row(name: str, field: FieldInfo) -> str:
    """Return one line of a table."""
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    star = ' *' if extra.get('advanced') else ''
    unit = f' [{extra["unit"]}]' if extra.get('unit') else ''
    cells = [f'`{name}`{star}', takes(field) + unit, f'`{field.default}`', str(field.description)]
    return '| ' + ' | '.join(cell.replace('|', '\\|') for cell in cells) + ' |'


def takes(field: FieldInfo) -> str:
    """Return what values a field takes."""
    if get_origin(field.annotation) is Literal:
        return ', '.join(f'`{choice}`' for choice in get_args(field.annotation))
    if field.annotation is bool:
        return 'on or off'
    limits = [
        f'{sign} {getattr(limit, relation)}'
        for relation, sign in RELATIONS
        for limit in field.metadata
        if hasattr(limit, relation)
    ]
    kind = getattr(field.annotation, '__name__', str(field.annotation))
    return ' '.join([kind, ' and '.join(limits)]).strip()


if __name__ == '__main__':
    PAGE.write_text(make_page(), encoding='utf-8')
