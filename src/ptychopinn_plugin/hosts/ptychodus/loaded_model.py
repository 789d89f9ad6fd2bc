"""The model that a reconstruction uses, and where it came from."""

from __future__ import annotations

from pathlib import Path

from ptychodus.api.observer import Observable

from ptychopinn_plugin.config.backend_names import backend_display_name
from ptychopinn_plugin.config.wording import counted
from ptychopinn_plugin.io.model_file import TrainedModel, packaged_model


class LoadedModel(Observable):
    """The loaded model of a reconstructor; observers are notified when it changes.

    They are called in the thread that changed it, which for a training is not that of the window.

    Attributes:
        model: None where there is none.
        file: that it was loaded from or saved to, None where it is in none.
    """

    def __init__(self) -> None:
        super().__init__()
        self.model: TrainedModel | None = None
        self.file: Path | None = None

    def set(self, model: TrainedModel, file: Path | None = None) -> None:
        """Use a model from now on."""
        self.model, self.file = model, file
        self.notify_observers()

    def unload(self) -> None:
        """Use none: that of the package instead."""
        self.model = self.file = None
        self.notify_observers()

    @property
    def architecture(self) -> str:
        """Name of its architecture; that of the package's model where there is none."""
        model = packaged_model() if self.model is None else self.model
        return model.manifest.model.architecture

    def describe(self) -> str:
        """Return name, architecture, epochs and backend in one line."""
        return '' if self.model is None else describe_model(self.model, self.file)


def describe_model(model: TrainedModel, file: Path | None) -> str:
    """Return name, architecture, epochs, backend and frame size of a model in one line.

    Args:
        model: the model.
        file: that it is in, None where it is in none.
    """
    manifest = model.manifest
    kind: str = manifest.model.architecture
    if manifest.model.model_type == 'supervised':
        kind += ', supervised'
    return (
        f'{file.name if file else "a model that is not saved"} ({kind}, '
        f'{counted(len(model.losses), "epoch")}, trained with '
        f'{backend_display_name(manifest.backend)} on frames of {manifest.frame_size} pixels)'
    )
