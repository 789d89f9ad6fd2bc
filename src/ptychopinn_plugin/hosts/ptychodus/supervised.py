"""The reconstructor that trains on known objects."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from ptychopinn_plugin.hosts.ptychodus.parameters import RunConfigs
from ptychopinn_plugin.hosts.ptychodus.reconstructor import PtychoPINNTrainableReconstructor
from ptychopinn_plugin.networks.cnn.ground_truth import check_ground_truth
from ptychopinn_plugin.scan import ScanData

FIXED_SETTINGS = {'architecture': 'cnn', 'model_type': 'supervised'}


class SupervisedReconstructor(PtychoPINNTrainableReconstructor):
    """The published network, trained on scans whose object is known.

    As `PtychoPINNTrainableReconstructor`, with the same arguments, but for the name; whatever the
    model config says, the architecture is `cnn` and the model type `supervised`. Training data are
    exported with the product's object as `objectGuess`, which must show something.
    """

    NAME = 'Supervised'

    @property
    def name(self) -> str:
        """Name in Ptychodus' list."""
        return self.NAME

    def _settle(self, configs: RunConfigs) -> RunConfigs:
        return dataclasses.replace(configs, model=configs.model.model_copy(update=FIXED_SETTINGS))

    def _check_training(self, scans: Sequence[ScanData]) -> None:
        for scan in scans:
            check_ground_truth(scan)
