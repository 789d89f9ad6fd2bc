"""The bridge: what it adds, what it refuses, and that Ptychodus goes on whatever happens."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Generator, Iterator
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ptychodus.api.reconstruct import NullReconstructor, Reconstructor, ReconstructorLibrary
from ptychodus.api.settings import SettingsRegistry

from ptychopinn_plugin.hosts.ptychodus import discovery, import_hook, method_wrapping
from ptychopinn_plugin.hosts.ptychodus.ptychodus_tasks import PtychodusTasks


class Library(ReconstructorLibrary):
    """A library of another package."""

    title = 'Other'

    def __init__(self, registry: SettingsRegistry, is_developer_mode_enabled: bool) -> None:
        super().__init__('other')

    @property
    def name(self) -> str:
        return self.title

    def __iter__(self) -> Iterator[Reconstructor]:
        return iter([NullReconstructor('One')])


class Underscore(Library):
    title = 'other_one'


class Twin(Library):
    title = 'OTHER'


class Broken(Library):
    def __init__(self, registry: SettingsRegistry, is_developer_mode_enabled: bool) -> None:
        raise OSError('no licence')


class Unnamed(Library):
    title = ' '


class Unlistable(Library):
    title = 'Unlistable'

    def __iter__(self) -> Iterator[Reconstructor]:
        raise RuntimeError('cannot be listed')


@pytest.fixture
def declare(monkeypatch: pytest.MonkeyPatch) -> Any:
    def declare(**values: str) -> None:
        found = [EntryPoint(name, value, discovery.GROUP) for name, value in values.items()]
        monkeypatch.setattr(discovery, 'entry_points', lambda *, group: found)

    return declare


def names(present: list[Any] | None = None) -> list[str]:
    return [each.name for each in discovery.load_libraries(SettingsRegistry(), present or [])]


def test_libraries_of_any_package_are_loaded(declare: Any) -> None:
    declare(other=f'{__name__}:Library')
    assert names() == ['Other']


@pytest.mark.parametrize(
    ('bad', 'reason'),
    [
        (f'{__name__}:Underscore', 'underscore'),
        (f'{__name__}:Broken', 'OSError: no licence'),
        (f'{__name__}:Unnamed', 'empty'),
        (f'{__name__}:Unlistable', 'cannot be listed'),
        (f'{__name__}:Nowhere', 'AttributeError'),
        ('no_such_package_at_all:Library', 'ModuleNotFoundError'),
    ],
)
def test_one_that_cannot_be_used_is_stepped_over(
    declare: Any, caplog: pytest.LogCaptureFixture, bad: str, reason: str
) -> None:
    declare(a_bad=bad, other=f'{__name__}:Library')
    assert names() == ['Other']
    assert reason in caplog.text
    assert 'a_bad' in caplog.text


def test_a_name_is_given_once_whatever_its_case(
    declare: Any, caplog: pytest.LogCaptureFixture
) -> None:
    declare(first=f'{__name__}:Library', second=f'{__name__}:Twin')
    assert names() == ['Other']
    assert "another library has the name 'OTHER'" in caplog.text


def test_the_bridge_stands_aside_where_ptychodus_found_it_itself(
    declare: Any, caplog: pytest.LogCaptureFixture
) -> None:
    declare(other=f'{__name__}:Library')
    assert names([Library(SettingsRegistry(), False)]) == []
    assert not caplog.records


def test_our_own_entry_point_is_declared() -> None:
    (ours,) = [
        each for each in entry_points(group=discovery.GROUP) if each.name == 'ptychopinn-plugin'
    ]
    assert ours.value == 'ptychopinn_plugin.hosts.ptychodus.library:PtychoPINNReconstructorLibrary'


class Core:
    """Stands for a class of Ptychodus."""

    def __init__(self, libraries: list[str], *, count: int = 1) -> None:
        self.libraries = libraries


def wrapped(needed: tuple[str, ...], around: Any) -> Any:
    class Copy(Core):
        __init__ = Core.__init__

    module = ModuleType('stand_in')
    module.Core = Copy  # type: ignore[attr-defined]
    method_wrapping.wrap_method(module, 'Core', '__init__', needed, around)
    return Copy


def adding(arguments: dict[str, Any]) -> Generator[None, Any, None]:
    arguments['libraries'] = [*arguments['libraries'], 'ours']
    made = yield
    made.after = True


def test_arguments_are_edited_by_name_and_the_instance_is_seen() -> None:
    copy = wrapped(('libraries',), adding)
    for made in (copy(['theirs']), copy(libraries=['theirs'], count=2)):
        assert made.libraries == ['theirs', 'ours']
        assert made.after


def test_wrapping_twice_adds_once() -> None:
    copy = wrapped(('libraries',), adding)
    module = ModuleType('stand_in')
    module.Core = copy  # type: ignore[attr-defined]
    method_wrapping.wrap_method(module, 'Core', '__init__', ('libraries',), adding)
    assert copy(['theirs']).libraries == ['theirs', 'ours']


def test_another_ptychodus_stays_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    copy = wrapped(('algorithm_libraries',), adding)
    assert copy(['theirs']).libraries == ['theirs']
    assert 'takes no algorithm_libraries' in caplog.text
    caplog.clear()
    method_wrapping.wrap_method(ModuleType('empty'), 'Core', '__init__', ('libraries',), adding)
    assert 'empty.Core.__init__' in caplog.text


def test_a_failure_of_ours_is_logged_and_no_more(caplog: pytest.LogCaptureFixture) -> None:
    def failing(arguments: dict[str, Any]) -> Iterator[None]:
        if arguments:
            raise RuntimeError('ours')
        yield

    copy = wrapped(('libraries',), failing)
    assert copy(['theirs']).libraries == ['theirs']
    assert 'RuntimeError: ours' in caplog.text

    def failing_late(arguments: dict[str, Any]) -> Iterator[None]:
        yield
        raise RuntimeError('late')

    copy = wrapped(('libraries',), failing_late)
    assert copy(['theirs']).libraries == ['theirs']
    assert 'RuntimeError: late' in caplog.text


@pytest.fixture
def waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    name = 'module_that_is_waited_for'
    (tmp_path / f'{name}.py').write_text('value = 1\n')
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    sys.modules.pop(name, None)
    sys.meta_path[:] = [f for f in sys.meta_path if name not in getattr(f, 'actions', {})]


def test_a_module_is_acted_on_after_its_import_once(waited_for: str) -> None:
    seen: list[int] = []
    finders = len(sys.meta_path)
    import_hook.after_import(waited_for, lambda module: seen.append(module.value))
    import_hook.after_import(waited_for, lambda module: seen.append(module.value))
    assert waited_for not in sys.modules
    assert seen == []
    module = importlib.import_module(waited_for)
    assert seen == [1]
    assert len(sys.meta_path) == finders
    assert module.__loader__.get_source(waited_for) == 'value = 1\n'  # type: ignore[union-attr]
    import_hook.after_import(waited_for, lambda module: seen.append(2))
    assert seen == [1, 2]


class Flags:
    is_processing = False
    is_stopping = False

    def __init__(self) -> None:
        self.progress: list[tuple[int, int]] = []
        self.tasks: list[Callable[[], None]] = []

    def update_progress(self, step: int, total: int) -> None:
        self.progress.append((step, total))

    def put_foreground_task(self, task: Callable[[], None]) -> None:
        self.tasks.append(task)


def test_a_window_is_waited_for_and_a_batch_run_is_not() -> None:
    flags, shown = Flags(), []
    tasks = PtychodusTasks(flags, flags)
    tasks.call_when_shown(lambda: shown.append('batch'))
    assert shown == ['batch']
    tasks.has_window = True
    tasks.call_when_shown(lambda: shown.append('window'))
    assert shown == ['batch']
    flags.tasks.pop()()
    assert shown == ['batch', 'window']


def test_a_stop_counts_only_while_a_task_runs() -> None:
    monitor, manager = Flags(), Flags()
    tasks = PtychodusTasks(monitor, manager)
    monitor.is_stopping = manager.is_stopping = True
    tasks.report(1, 2)
    assert not tasks.should_stop()
    assert monitor.progress == []
    monitor.is_processing = True
    tasks.report(1, 2)
    assert tasks.should_stop()
    assert monitor.progress == [(1, 2)]
    monitor.is_stopping = False
    assert tasks.should_stop()  # the window was closed
    manager.is_stopping = False
    assert not tasks.should_stop()
