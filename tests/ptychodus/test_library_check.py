"""The check of reconstructor libraries: ours passes, and each broken promise is a fault."""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from ptychodus.api.product import Product
from ptychodus.api.reconstruct import (
    ReconstructInput,
    Reconstructor,
    ReconstructorLibrary,
    ReconstructOutput,
)
from ptychodus.api.settings import SettingsRegistry

from ptychopinn_plugin import check_reconstructor
from ptychopinn_plugin.hosts.ptychodus import library_promises
from ptychopinn_plugin.hosts.ptychodus.discovery import LibraryClass
from ptychopinn_plugin.hosts.ptychodus.library import PtychoPINNReconstructorLibrary
from ptychopinn_plugin.hosts.ptychodus.reconstructor import PtychoPINNTrainableReconstructor
from tests.ptychodus.fake_engines import SlowEngine

SETTINGS = """
[PtychoPINNPluginInference]
refine_iterations = 2
update_probe = off
[PtychoPINNPluginTraining]
epochs = 1
steps_per_epoch = 2
crop_frames = 25
[PtychoPINNPluginExecution]
backend = pytorch
"""


class Iterative(Reconstructor):
    """A small reconstructor that keeps all promises; a test breaks one of them."""

    def __init__(self, change: Callable[[Iterative], None] | None = None) -> None:
        self.title = 'Iterative'
        self.goal = 2
        self.steps = (1, 2)
        self.output: Callable[[ReconstructInput], Product] = lambda given: given.product
        self.seconds_to_end = 0.0
        if change:
            change(self)

    @property
    def name(self) -> str:
        return self.title

    def get_progress_goal(self) -> int:
        return self.goal

    def reconstruct(self, parameters: ReconstructInput) -> Iterator[ReconstructOutput]:
        try:
            for step in self.steps:
                yield ReconstructOutput(self.output(parameters), step)
        finally:
            time.sleep(self.seconds_to_end)


class Library(ReconstructorLibrary):
    """A library without a model, with one setting."""

    title = 'Mine'
    count = 1

    def __init__(
        self,
        registry: SettingsRegistry,
        is_developer_mode_enabled: bool = False,
        *,
        change: Callable[[Iterative], None] | None = None,
    ) -> None:
        super().__init__('mine')
        registry.create_group('Mine').create_real_parameter('step', 0.5)
        self._reconstructors = [Iterative(change) for _ in range(self.count)]

    @property
    def name(self) -> str:
        return self.title

    def __iter__(self) -> Iterator[Reconstructor]:
        return iter(self._reconstructors)


def changed(**attributes: Any) -> Any:
    """Return the class of a library whose reconstructor has other attributes."""

    def change(reconstructor: Iterative) -> None:
        for name, value in attributes.items():
            setattr(reconstructor, name, value)

    return lambda registry, mode: Library(registry, mode, change=change)


def not_finite(given: ReconstructInput) -> Product:
    product = given.product
    given_object = product.object_
    array = np.full_like(given_object.get_array(), np.nan)
    broken = type(given_object)(array, given_object.get_pixel_geometry(), given_object.get_center())
    return dataclasses.replace(product, object_=broken)


def dims(given: ReconstructInput) -> Product:
    given.diffraction_patterns[...] = 0
    return given.product


class Underscored(Library):
    title = 'my_library'


class Taken(Library):
    title = 'ptychonn'


class Twins(Library):
    count = 2


class Forgetful(Library):
    def __iter__(self) -> Iterator[Reconstructor]:
        return iter([Iterative()])


class Late(Library):
    """Its setting takes what it is given from a file wrongly."""

    def __init__(self, registry: SettingsRegistry, mode: bool) -> None:
        super().__init__(registry, mode)
        parameter = registry['Mine'].create_string_parameter('word', 'a')
        parameter.set_value_from_string = lambda value: parameter.set_value(value + '!')  # type: ignore[method-assign]


def broken(registry: SettingsRegistry, mode: bool) -> ReconstructorLibrary:
    raise OSError('no licence')


def fake_library(engine_type: type[SlowEngine]) -> LibraryClass:
    """Return our library with an engine without a framework."""
    return lambda registry, mode: PtychoPINNReconstructorLibrary(
        registry, mode, engine_factory=engine_type
    )


def test_a_library_that_keeps_all_promises_has_no_faults(parameters: ReconstructInput) -> None:
    assert check_reconstructor(Library, parameters=parameters) == []


def test_our_library_has_no_faults(engine_type: type[SlowEngine]) -> None:
    assert check_reconstructor(fake_library(engine_type), settings=SETTINGS) == []
    trained = [call for engine in engine_type.made for call in engine.calls if 'training' in call]
    assert len(trained) == 2
    assert trained[0]['training'].epochs == 1
    assert all(engine.closed for engine in engine_type.made)


@pytest.mark.parametrize(
    ('library', 'reason'),
    [
        (Underscored, 'underscore'),
        (Taken, "another library has the name 'ptychonn'"),
        (Twins, 'the same name but for case'),
        (Forgetful, 'iterating twice'),
        (Late, "setting Mine.word was saved as 'a' and read back as 'a!'"),
        (broken, 'OSError: no licence'),
        (changed(title=''), 'the name of a reconstructor is empty'),
        (changed(goal=0), r'get_progress_goal\(\) is 0'),
        (changed(steps=(2, 1)), 'the progress 1 comes after 2'),
        (changed(steps=(1, 3)), 'the goal is 2'),
        (changed(steps=()), 'yields no output'),
        (changed(output=not_finite), 'not finite'),
        (changed(output=dims), 'the diffraction patterns of the input were changed'),
        (changed(output=lambda given: given.no_such_field), 'AttributeError'),
    ],
)
def test_a_broken_promise_is_a_fault(
    library: Any, reason: str, parameters: ReconstructInput
) -> None:
    own = dataclasses.replace(
        parameters, diffraction_patterns=parameters.diffraction_patterns.copy()
    )
    faults = check_reconstructor(library, parameters=own)
    assert any(re.search(reason, fault) for fault in faults), faults


def test_a_stop_that_takes_too_long_is_a_fault(
    parameters: ReconstructInput, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library_promises, 'STOP_SECONDS', 0.1)
    (fault,) = check_reconstructor(changed(seconds_to_end=0.2), parameters=parameters)
    assert fault.startswith('Iterative: a closed iterator took')


def test_a_stop_that_is_not_looked_for_is_a_fault(
    engine_type: type[SlowEngine], parameters: ReconstructInput, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine_type.seconds_a_step = 0.15
    monkeypatch.setattr(library_promises, 'STOP_SECONDS', 0.2)
    monkeypatch.setattr(PtychoPINNReconstructorLibrary, 'connect_host', lambda self, tasks: None)
    faults = check_reconstructor(
        fake_library(engine_type), parameters=parameters, settings=SETTINGS, trains=False
    )
    assert faults == [
        f'{name}: Stop was pressed, the run went on for 0 s' for name in ('PINN', 'Supervised')
    ]


@pytest.mark.parametrize(
    ('method', 'instead', 'reason'),
    [
        ('save_model', lambda self, file: None, r'save_model\(\) without a model must raise'),
        ('load_model_from_file', lambda self, file: None, 'that is no model must raise'),
        ('is_model_loaded', lambda self: True, 'is true before a model was loaded'),
        ('is_model_loaded', lambda self: False, 'is false after a training'),
        ('get_model_file_extension', lambda self: 'model', 'must begin with a dot'),
        ('get_model_file_extension', lambda self: '.pt', "files that end in '.pt'"),
        ('get_training_data_file_filter', lambda self: 'data', 'has no pattern'),
        ('export_training_data', lambda self, file, scan: None, 'wrote no file'),
        ('train', lambda self, a, b: iter(()), 'must yield TrainOutput'),
    ],
)
def test_a_broken_promise_of_models_is_a_fault(
    method: str,
    instead: Any,
    reason: str,
    engine_type: type[SlowEngine],
    parameters: ReconstructInput,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(PtychoPINNTrainableReconstructor, method, instead)
    faults = check_reconstructor(
        fake_library(engine_type), parameters=parameters, settings=SETTINGS
    )
    assert any(re.search(reason, fault) for fault in faults), faults


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.pytorch
def test_our_library_as_it_is_installed_has_no_faults() -> None:
    """With workers; one backend, for TensorFlow compiles anew in each of a dozen processes."""
    assert check_reconstructor(PtychoPINNReconstructorLibrary, settings=SETTINGS) == []
