"""Model files as Ptychodus' dialogs and batch mode name them."""

from __future__ import annotations

from pathlib import Path

from ptychodus.api.io import StandardFileLayout

from ptychopinn_plugin.errors import ModelMismatchError, OutputError
from ptychopinn_plugin.hosts.ptychodus.loaded_model import describe_model
from ptychopinn_plugin.hosts.ptychodus.status_pane import package_logger
from ptychopinn_plugin.io.model_file import TrainedModel, load_model, save_model

MODEL_SUFFIX = '.safetensors'
MODEL_FILTER = f'PtychoPINN Model (*{MODEL_SUFFIX})'


def model_path(folder: Path) -> Path:
    """Return where a batch reconstruction looks for a model; make the folder.

    Raises:
        OutputError: the folder cannot be made.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f'the folder {folder} cannot be made: {error.strerror}') from error
    return folder / f'{StandardFileLayout.MODEL_BASENAME}{MODEL_SUFFIX}'


def load_and_log(file: Path) -> TrainedModel:
    """Load a model, whichever backend trained it, and log what it was trained on.

    Raises:
        ModelFileError: it is not a complete model file.
    """
    package_logger.info('Loading %s ...', file)
    model = load_model(file)
    package_logger.info('Infer now uses %s', describe_model(model, file))
    return model


def save_loaded(file: Path, model: TrainedModel | None) -> None:
    """Write the loaded model.

    Raises:
        ModelMismatchError: no model is loaded.
        OutputError: it cannot be written there.
    """
    if model is None:
        raise ModelMismatchError('there is no model to save; train one or load one first')
    save_model(file, model)
