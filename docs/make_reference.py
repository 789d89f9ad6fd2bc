"""Write docs/configuration.md from the fields of the configs: python docs/make_reference.py."""

from __future__ import annotations

from pathlib import Path

from pydantic.fields import FieldInfo

from ptychopinn_plugin.config import (
    Config,
    ExecutionConfig,
    InferenceConfig,
    ModelConfig,
    OrientationConfig,
    TrainingConfig,
)
from ptychopinn_plugin.config.base import field_choices, field_traits, help_text
from ptychopinn_plugin.config.legacy_names import (
    FILE_NAMES,
    GROUPING_NAMES,
    MODEL_NAMES,
    OLD_NAMES,
    SWITCHED_OFF,
    TRAINING_NAMES,
)
from ptychopinn_plugin.settings import TrainingRun, legacy_parameters
from ptychopinn_plugin.settings.legacy import PROVIDED
from ptychopinn_plugin.simulation import SimulationConfig

PAGE = Path(__file__).with_name('configuration.md')
SECTIONS: dict[type[Config], str] = {
    InferenceConfig: '`ptychopinn reconstruct`, `batch` and `watch`',
    TrainingConfig: '`ptychopinn train`',
    ModelConfig: '`ptychopinn train`',
    ExecutionConfig: '`ptychopinn train`, `reconstruct`, `batch`, `watch` and `demo`',
    OrientationConfig: '`ptychopinn check`, `reconstruct`, `batch`, `watch`, `train` and `fixture`',
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
SOURCES = """
## Where settings come from

A setting is taken from the first of these that has it:

1. what is typed, or given to the function by name;
2. in Python, the fields that were set when an `ExecutionConfig` was made;
3. a file: `--config settings.toml` of `train`, `reconstruct` and `batch`, `config_file=` in Python;
4. the data: `frame_size` from the probe's header, before any values are loaded, and, for a
   `ScanData`, `nphotons` from its counts (with a file it stays 0, which means the same: the photons
   are counted when the data are loaded);
5. the default.

Every change is logged, as `training.epochs: 8 -> 5 (settings.toml)`. Unknown names, names that
stand twice and values out of range are refused, all at once.

```toml
# settings.toml; the same in YAML
n_groups = 512            # outside of any section: for training and reconstruction

[model]
architecture = "cnn"
gridsize = 2

[training]
epochs = 50

[inference]
cnn_refine_iterations = 10

[execution]
backend = "pytorch"
threads = 4

[orientation]             # of the scan axes, as the flags of the same names
flip_y = true
```

```python
import ptychopinn_plugin as pp

run = pp.create_training_config('scan.npz', config_file='settings.toml', epochs=10)
run.model, run.training, run.execution

amplitude, phase, results = pp.run_pipeline(
    'scan.npz', output_dir='result', config_file='settings.toml', epochs=10
)
results['history']['val_loss'], results['paths']['object'], results['seconds']
```

`run_pipeline` trains, saves the model, loads it again, reconstructs `test_data` (or the scan it
trained on), stitches and draws. `amplitude` and `phase` are float32 (H, W), NaN where no probe
reached.

## Names of the research code

Settings of the PtychoPINN research code are understood, with a warning: as flags
(`--max_epochs 20`, `--batch_size 8`), in files and in Python (`translate_legacy`, which turns a
mapping into keywords for `create_training_config`). `legacy_parameters(run)` goes the other way and
gives the flat dictionary marked below. Neither keeps anything.

| there | here | `legacy_parameters` |
| --- | --- | --- |
"""
WHERE = {
    'train_data': 'the scan of `train`, `data` in Python',
    'test_data': 'the scan of `reconstruct`, `test_data` in Python',
    'output': '`output` in Python',
}
RELATIONS = (('gt', '>'), ('ge', '≥'), ('lt', '<'), ('le', '≤'))


def make_page() -> str:
    """Return the whole page."""
    parts = [HEAD]
    for config, commands in SECTIONS.items():
        parts.append(f'\n## {config.__name__}\n\n{config.__doc__}\n\nFlags of {commands}.\n')
        parts.append('| field | takes | default | meaning |\n| --- | --- | --- | --- |')
        parts += [make_row(name, field) for name, field in config.model_fields.items()]
    return '\n'.join(parts) + '\n' + SOURCES + '\n'.join(make_old_names()) + '\n'


def make_old_names() -> list[str]:
    """Return the lines of the table of old names."""
    written = {**MODEL_NAMES, **TRAINING_NAMES, **{name: name for name in GROUPING_NAMES}}
    flat = legacy_parameters(
        TrainingRun(model=ModelConfig(), training=TrainingConfig(), execution=ExecutionConfig())
    )
    rows = [(old, f'`{new}`') for old, new in {**written, **OLD_NAMES}.items()]
    rows += [(old, f'`{name} = {value}`') for old, (name, value) in SWITCHED_OFF.items()]
    rows += [(old, WHERE[new]) for old, new in FILE_NAMES.items()]
    rows.append((PROVIDED, 'always on'))
    rows.append(('torch_...', 'the same without `torch_`'))
    return [
        f'| `{old}` | {new} | {"yes" if old in flat else ""} |'.replace('  ', ' ')
        for old, new in rows
    ]


def make_row(name: str, field: FieldInfo) -> str:
    """Return one line of a table."""
    traits = field_traits(field)
    star = ' *' if traits.advanced else ''
    unit = f' [{traits.unit}]' if traits.unit else ''
    cells = [f'`{name}`{star}', takes(field) + unit, f'`{field.default}`', help_text(field)]
    return '| ' + ' | '.join(cell.replace('|', '\\|') for cell in cells) + ' |'


def takes(field: FieldInfo) -> str:
    """Return what values a field takes."""
    if field_choices(field):
        return ', '.join(f'`{choice}`' for choice in field_choices(field))
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
