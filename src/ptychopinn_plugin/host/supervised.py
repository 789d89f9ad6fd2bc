"""The reconstructor that is named and not there yet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from ptychodus.api.reconstruct import (
    ReconstructInput,
    ReconstructOutput,
    TrainableReconstructor,
    TrainOutput,
)

from ptychopinn_plugin.errors import UnavailableError
from ptychopinn_plugin.host.reconstructor import (
    MODEL_FILTER,
    MODEL_SUFFIX,
    TRAINING_DATA_FILTER,
    package_logger,
)


class SupervisedReconstructor(TrainableReconstructor):
    """Says plainly that it needs ground truth and is not available yet."""

    @property
    def name(self) -> str:
        """Name in Ptychodus' list."""
        return 'Supervised'

    def get_progress_goal(self) -> int:
        """Return 1."""
        return 1

    def is_model_loaded(self) -> bool:
        """Say that no model is loaded."""
        return False

    def get_model_file_filter(self) -> str:
        """Return the filter of the dialogs that open a model."""
        return MODEL_FILTER

    def get_model_file_extension(self) -> str:
        """Return '.safetensors'."""
        return MODEL_SUFFIX

    def get_training_data_file_filter(self) -> str:
        """Return the filter of the dialog that exports training data."""
        return TRAINING_DATA_FILTER

    def load_model_from_file(self, file_path: Path) -> None:
        """Refuse."""
        self._refuse()

    def save_model(self, file_path: Path) -> None:
        """Refuse."""
        self._refuse()

    def export_training_data(self, file_path: Path, parameters: ReconstructInput) -> None:
        """Refuse."""
        self._refuse()

    def reconstruct(self, parameters: ReconstructInput) -> Iterator[ReconstructOutput]:
        """Refuse."""
        self._refuse()

    def train(self, input_path: Path, output_path: Path) -> Iterator[TrainOutput]:
        """Refuse."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        error = UnavailableError(
            'Supervised training needs the true object of every scan (ground truth) and is not '
            'available in this version; choose PtychoPINN-Plugin_PINN, which needs none'
        )
        package_logger.error('%s', error)
        raise error
