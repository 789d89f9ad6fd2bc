"""What Ptychodus expects of a reconstructor library, one function an expectation.

Each function yields one sentence a fault. `CHECKS` lists them in the order in which they are run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
from ptychodus.api.io import StandardFileLayout, load_product, save_product
from ptychodus.api.reconstruct import (
    ReconstructInput,
    Reconstructor,
    ReconstructorLibrary,
    ReconstructOutput,
    TrainableReconstructor,
    TrainOutput,
)
from ptychodus.api.settings import SettingsRegistry

from ptychopinn_plugin.hosts.host_tasks import NoHost
from ptychopinn_plugin.hosts.ptychodus.discovery import name_fault
from ptychopinn_plugin.hosts.ptychodus.library_protocols import ConnectsToHost

# The libraries that Ptychodus 1.6 and 1.7 have of their own.
BUILT_IN = ('Pty-Chi', 'PtychoNN', 'PtychoPINN', 'PtychoPINN-Torch', 'PtychoFM')
# A user who pressed Stop takes a window that has not reacted by then for a frozen one.
STOP_SECONDS = 10.0


@dataclass(frozen=True)
class CheckedLibrary:
    """A library and what it is checked with.

    Attributes:
        make: makes a fresh library with a registry that has the settings of the check.
        parameters: the scan that is reconstructed.
        folder: an empty folder for files.
        trains: whether trainable reconstructors are trained.
    """

    make: Callable[[], tuple[ReconstructorLibrary, SettingsRegistry]]
    parameters: ReconstructInput
    folder: Path
    trains: bool

    def reconstructors(self) -> list[Reconstructor]:
        """Return the reconstructors of a fresh library."""
        return list(self.make()[0])


Check: TypeAlias = Callable[[CheckedLibrary], Iterator[str]]


def check_names(case: CheckedLibrary) -> Iterator[str]:
    """Names make keys that Ptychodus can split, each another; iterating gives the same objects."""
    library, _ = case.make()
    if fault := name_fault(library.name, BUILT_IN):
        yield f'the library: {fault}'
    reconstructors = list(library)
    if not reconstructors:
        yield 'the library offers no reconstructor'
    names = [reconstructor.name.strip().casefold() for reconstructor in reconstructors]
    if '' in names:
        yield 'the name of a reconstructor is empty'
    if len(set(names)) < len(names):
        yield f'two reconstructors have the same name but for case: {sorted(names)}'
    if [id(each) for each in library] != [id(each) for each in reconstructors]:
        yield 'iterating twice gives different reconstructors; Ptychodus iterates more than once'


def check_settings(case: CheckedLibrary) -> Iterator[str]:
    """Settings are there once the library is made, and survive a settings file."""
    _, registry = case.make()
    before = _values(registry)
    file = case.folder / 'settings.ini'
    registry.save_settings(file)
    _, other = case.make()
    other.open_settings(file)
    for name, value in _values(other).items():
        if value != before.get(name):
            yield f'setting {name} was saved as {before.get(name)!r} and read back as {value!r}'


def check_progress_goal(case: CheckedLibrary) -> Iterator[str]:
    """The goal is positive before a run: with 0 Ptychodus hides the progress bar and Stop."""
    for reconstructor in case.reconstructors():
        goal = reconstructor.get_progress_goal()
        if goal < 1:
            yield f'{reconstructor.name}: get_progress_goal() is {goal}, which hides Stop'


def check_reconstruction(case: CheckedLibrary) -> Iterator[str]:
    """A run gives products that can be saved, counts up to its goal, and leaves its input alone."""
    for reconstructor in case.reconstructors():
        given = case.parameters
        patterns, probe = given.diffraction_patterns.copy(), given.product.probes.get_array().copy()
        previous = 0
        output = None
        for output in reconstructor.reconstruct(given):
            goal = reconstructor.get_progress_goal()
            if not previous <= output.progress <= goal:
                yield (
                    f'{reconstructor.name}: the progress {output.progress} comes after {previous} '
                    f'and the goal is {goal}; it must not fall nor pass the goal'
                )
            previous = output.progress
        if output is None:
            yield f'{reconstructor.name}: reconstruct() yields no output'
        else:
            yield from _product_faults(reconstructor.name, output, case)
        if not np.array_equal(patterns, given.diffraction_patterns):
            yield f'{reconstructor.name}: the diffraction patterns of the input were changed'
        if not np.array_equal(probe, given.product.probes.get_array()):
            yield f'{reconstructor.name}: the probe of the input was changed'


def check_stop(case: CheckedLibrary) -> Iterator[str]:
    """Closing the iterator ends a run soon, as does Stop of a connected host; another run works."""
    for reconstructor in case.reconstructors():
        running = reconstructor.reconstruct(case.parameters)
        next(running, None)
        seconds = _seconds(getattr(running, 'close', list))
        if seconds > STOP_SECONDS:
            yield f'{reconstructor.name}: a closed iterator took {seconds:.0f} s to end'
        if next(reconstructor.reconstruct(case.parameters), None) is None:
            yield f'{reconstructor.name}: after a stop another run yields no output'
    library, _ = case.make()
    if isinstance(library, ConnectsToHost):
        library.connect_host(_Stopping())
        for reconstructor in library:
            seconds = _seconds(partial(_run, reconstructor, case.parameters))
            if seconds > STOP_SECONDS:
                yield f'{reconstructor.name}: Stop was pressed, the run went on for {seconds:.0f} s'


def check_model_files(case: CheckedLibrary) -> Iterator[str]:
    """Without a model nothing is saved; what is no model is refused; names of files fit filters."""
    for reconstructor in case.reconstructors():
        if not isinstance(reconstructor, TrainableReconstructor):
            continue
        name, ending = reconstructor.name, reconstructor.get_model_file_extension()
        if not ending.startswith('.'):
            yield f'{name}: get_model_file_extension() is {ending!r}, it must begin with a dot'
        if f'*{ending}' not in reconstructor.get_model_file_filter():
            yield f'{name}: the filter of model files does not show files that end in {ending!r}'
        if '*' not in reconstructor.get_training_data_file_filter():
            yield f'{name}: the filter of training data has no pattern such as *.npz'
        if reconstructor.is_model_loaded():
            yield f'{name}: is_model_loaded() is true before a model was loaded'
        file = case.folder / f'no-model{ending}'
        if not _is_refused(partial(reconstructor.save_model, file)):
            yield f'{name}: save_model() without a model must raise an error'
        file.write_bytes(b'this is no model')
        if not _is_refused(partial(reconstructor.load_model_from_file, file)):
            yield f'{name}: load_model_from_file() of a file that is no model must raise an error'
        if reconstructor.is_model_loaded():
            yield f'{name}: is_model_loaded() is true after a file that is no model'


def check_training(case: CheckedLibrary) -> Iterator[str]:
    """Exported data train a model that batch mode finds and a fresh library reconstructs with."""
    for index, reconstructor in enumerate(case.reconstructors()):
        if case.trains and isinstance(reconstructor, TrainableReconstructor):
            yield from _training_faults(index, reconstructor, case)


def _training_faults(
    index: int, reconstructor: TrainableReconstructor, case: CheckedLibrary
) -> Iterator[str]:
    name, folder = reconstructor.name, case.folder / f'training-{index}'
    folder.mkdir()
    ending = reconstructor.get_training_data_file_filter().partition('*')[2].split(')')[0].split()
    reconstructor.export_training_data(
        folder / f'train_data{ending[0] if ending else ""}', case.parameters
    )
    if not list(folder.iterdir()):
        yield f'{name}: export_training_data() wrote no file'
        return
    outputs = list(reconstructor.train(folder, folder))
    if not outputs or not all(isinstance(output, TrainOutput) for output in outputs):
        yield f'{name}: train() must yield TrainOutput, it gave {outputs[:1]}'
    if not reconstructor.is_model_loaded():
        yield f'{name}: is_model_loaded() is false after a training'
    suffix = reconstructor.get_model_file_extension()
    model = folder / f'{StandardFileLayout.MODEL_BASENAME}{suffix}'
    if not model.exists():
        yield f'{name}: train() did not write {model.name}, which batch mode looks for'
        return
    copy = folder / f'copy{suffix}'
    reconstructor.save_model(copy)
    fresh = case.reconstructors()[index]
    assert isinstance(fresh, TrainableReconstructor)
    for file in (model, copy):
        fresh.load_model_from_file(file)
        if not fresh.is_model_loaded():
            yield f'{name}: is_model_loaded() is false after {file.name} was loaded'
    if not list(fresh.reconstruct(case.parameters)):
        yield f'{name}: with a loaded model reconstruct() yields no output'


def _product_faults(name: str, output: ReconstructOutput, case: CheckedLibrary) -> Iterator[str]:
    """Yield what is wrong with the last output of a run."""
    product, given = output.product, case.parameters.product
    if not np.isfinite(product.object_.get_array()).all():
        yield f'{name}: the object has values that are not finite'
    if len(product.probe_positions) != len(given.probe_positions):
        yield (
            f'{name}: the product has {len(product.probe_positions)} positions, the input '
            f'{len(given.probe_positions)}'
        )
    file = case.folder / 'product.h5'
    save_product(file, product)
    if load_product(file).object_.get_array().shape != product.object_.get_array().shape:
        yield f'{name}: the product is read back with an object of another shape'


class _Stopping(NoHost):
    """A host whose user has pressed Stop."""

    def should_stop(self) -> bool:
        return True


def _values(registry: SettingsRegistry) -> dict[str, str]:
    """Return all settings of a registry as a settings file has them."""
    return {
        f'{group}.{name}': parameter.get_value_as_string()
        for group in registry
        for name, parameter in registry[group].parameters().items()
    }


def _run(reconstructor: Reconstructor, parameters: ReconstructInput) -> None:
    for _ in reconstructor.reconstruct(parameters):
        pass


def _seconds(call: Callable[[], object]) -> float:
    start = time.monotonic()
    call()
    return time.monotonic() - start


def _is_refused(call: Callable[[], None]) -> bool:
    """Return whether a call raises an error, of whatever kind: libraries have their own."""
    try:
        call()
    except Exception:  # noqa: BLE001
        return True
    return False


CHECKS: tuple[Check, ...] = (
    check_names,
    check_settings,
    check_progress_goal,
    check_reconstruction,
    check_stop,
    check_model_files,
    check_training,
)
