"""Optional methods of the reconstructor libraries and reconstructors of any package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from ptychopinn_plugin.hosts.host_tasks import HostTasks

if TYPE_CHECKING:
    from ptychodus.controller.data import FileDialogFactory
    from ptychodus.controller.processing import ReconstructorViewControllerFactory


@runtime_checkable
class ConnectsToHost(Protocol):
    """A library whose runs can be stopped and move the progress bar."""

    def connect_host(self, tasks: HostTasks) -> None:
        """Set the host."""
        ...


@runtime_checkable
class BringsSettingsPages(Protocol):
    """A library with settings pages of its own."""

    @property
    def name(self) -> str:
        """The library's name."""
        ...

    def create_view_controller_factory(
        self, file_dialog_factory: FileDialogFactory
    ) -> ReconstructorViewControllerFactory:
        """Return the factory of the settings pages."""
        ...


@runtime_checkable
class CanBeClosed(Protocol):
    """A library that holds processes or a device between its runs."""

    def close(self) -> None:
        """Release them; a later run takes them again."""
        ...


@runtime_checkable
class WorksWithoutModel(Protocol):
    """A trainable reconstructor that needs no model; the value of its attribute does not matter."""

    works_without_model: bool
