"""The bridge: reconstructor libraries of other packages inside an unmodified Ptychodus.

Ptychodus names its reconstructor libraries in its own code. The bridge adds those that installed
packages declare (see `discovery`) when Ptychodus constructs its processing core. Where a version of
Ptychodus differs from what is expected, that is logged and Ptychodus stays as it is.
"""

from __future__ import annotations

from types import ModuleType

from ptychopinn_plugin.hosts.ptychodus.import_hook import after_import
from ptychopinn_plugin.hosts.ptychodus.method_wrapping import wrap_method


def install() -> None:
    """Let Ptychodus offer the reconstructor libraries of all installed packages.

    Call it before `ModelCore(...)` in scripts where Ptychodus does not find the plugin by itself.
    Further calls, and calls where it does find it, change nothing. Nothing of Ptychodus' model or
    window is imported.
    """
    after_import('ptychodus.model.processing.core', _wrap_processing_core)
    after_import('ptychodus.model.processing.api', _wrap_processing_api)
    after_import('ptychodus.model.core', _wrap_model_core)
    after_import('ptychodus.controller.processing.core', _wrap_processing_controller)


# The imports wait for Ptychodus' own: a command that only calls `install` need not load them.


def _wrap_processing_core(module: ModuleType) -> None:
    from ptychopinn_plugin.hosts.ptychodus.processing_core import add_libraries

    needed = ('task_manager', 'settings_registry', 'algorithm_libraries')
    wrap_method(module, 'ProcessingCore', '__init__', needed, add_libraries)


def _wrap_processing_api(module: ModuleType) -> None:
    from ptychopinn_plugin.hosts.ptychodus.dropped_frames import say_what_was_dropped

    needed = ('product_index',)
    wrap_method(module, 'ProcessingAPI', 'get_reconstruct_input', needed, say_what_was_dropped)


def _wrap_processing_controller(module: ModuleType) -> None:
    from ptychopinn_plugin.hosts.ptychodus.processing_window import add_pages

    needed = (
        'algorithm_parameter',
        'processing_api',
        'file_dialog_factory',
        'view_controller_factories',
    )
    wrap_method(module, 'ProcessingController', '__init__', needed, add_pages)


def _wrap_model_core(module: ModuleType) -> None:
    from ptychopinn_plugin.hosts.ptychodus.batch_product import copy_last_product

    needed = ('action', 'input_directory', 'output_directory')
    wrap_method(module, 'ModelCore', 'batch_mode_execute', needed, copy_last_product)
