"""The library that Ptychodus lists."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ptychodus.api.reconstruct import ReconstructorLibrary
from ptychodus.api.settings import SettingsRegistry

from ptychopinn_plugin import __version__
from ptychopinn_plugin.hosts.engine_cache import EngineCache, EngineFactory
from ptychopinn_plugin.hosts.host_tasks import HostTasks
from ptychopinn_plugin.hosts.ptychodus.parameters import PluginSettings, RunConfigs
from ptychopinn_plugin.hosts.ptychodus.reconstructor import PtychoPINNTrainableReconstructor
from ptychopinn_plugin.hosts.ptychodus.status_pane import package_logger
from ptychopinn_plugin.hosts.ptychodus.supervised import SupervisedReconstructor
from ptychopinn_plugin.worker.client import RemoteEngine

if TYPE_CHECKING:
    from ptychodus.controller.data import FileDialogFactory

    from ptychopinn_plugin.hosts.ptychodus.settings_page import PluginViewControllerFactory


class PtychoPINNReconstructorLibrary(ReconstructorLibrary):
    """`PtychoPINN-Plugin` with the reconstructors `PINN` and `Supervised`.

    Attributes:
        settings: the plugin's settings, read before every run.

    Args:
        settings_registry: the plugin's settings are added to it.
        is_developer_mode_enabled: passed by Ptychodus, not used.
        engine_factory: makes the engine of an execution config.
    """

    def __init__(
        self,
        settings_registry: SettingsRegistry,
        is_developer_mode_enabled: bool = False,
        *,
        engine_factory: EngineFactory = RemoteEngine,
    ) -> None:
        # The status pane shows this logger and those below it: all of the package.
        super().__init__(package_logger.name)
        self.settings = PluginSettings(settings_registry)
        # Ptychodus runs one task at a time, so both share one warm worker.
        self._engines = EngineCache(engine_factory)
        self._reconstructors = (
            PtychoPINNTrainableReconstructor(
                read_configs=self._read_unsupervised, engine_factory=self._engines
            ),
            SupervisedReconstructor(read_configs=self.settings.read, engine_factory=self._engines),
        )
        package_logger.info('PtychoPINN-Plugin %s', __version__)

    @property
    def name(self) -> str:
        """First half of the names in Ptychodus' list."""
        return 'PtychoPINN-Plugin'

    def __iter__(self) -> Iterator[PtychoPINNTrainableReconstructor]:
        """Iterate over the reconstructors."""
        return iter(self._reconstructors)

    def connect_host(self, tasks: HostTasks) -> None:
        """Set the host, asked for a stop and informed of the progress."""
        for reconstructor in self._reconstructors:
            reconstructor.connect_host(tasks)

    def close(self) -> None:
        """End the worker process of the reconstructors; a later run starts another."""
        self._engines.close()

    def _read_unsupervised(self) -> RunConfigs:
        """Return the settings of PINN: supervised training is an algorithm of its own."""
        configs = self.settings.read()
        if configs.model.model_type == 'pinn':
            return configs
        package_logger.warning(
            'model_type = %s is not used by this algorithm: to train on known objects, choose %s',
            configs.model.model_type,
            f'{self.name}_{SupervisedReconstructor.NAME}'.casefold(),
        )
        model = configs.model.model_copy(update={'model_type': 'pinn'})
        return dataclasses.replace(configs, model=model)

    def create_view_controller_factory(
        self, file_dialog_factory: FileDialogFactory
    ) -> PluginViewControllerFactory:
        """Return the factory of the settings pages; only a window asks for it."""
        from ptychopinn_plugin.hosts.ptychodus.settings_page import PluginViewControllerFactory

        loaded = {each.name: each.loaded_model for each in self._reconstructors}
        return PluginViewControllerFactory(self.name, self.settings, loaded)
