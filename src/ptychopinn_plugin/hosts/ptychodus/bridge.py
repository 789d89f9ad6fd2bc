"""The bridge: reconstructor libraries of other packages inside an unmodified Ptychodus.

Ptychodus names its reconstructor libraries in its own code. The bridge adds those that installed
packages declare (see `discovery`) when Ptychodus makes its processing rooms. Where a version of
Ptychodus differs from what is expected, that is logged and Ptychodus stays as it is.
"""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Generator
from types import ModuleType
from typing import Any, TypeAlias

from ptychopinn_plugin.hosts.ptychodus.import_hook import after_import

logger = logging.getLogger(__name__)

Arguments: TypeAlias = dict[str, Any]
# Gets the arguments by name, may change them, yields for the call, and is sent the instance.
Around: TypeAlias = Callable[[Arguments], Generator[None, Any, None]]
_MARK = '_ptychopinn_plugin_bridge'


def install() -> None:
    """Let Ptychodus offer the reconstructor libraries of all installed packages.

    Call it before `ModelCore(...)` in scripts where Ptychodus cannot see the plugin by itself; it
    does no harm where it can, nor when called again. Nothing of Ptychodus' model or window is
    imported by it.
    """
    after_import('ptychodus.model.processing.core', _change_processing_core)
    after_import('ptychodus.model.core', _change_model_core)
    after_import('ptychodus.controller.processing.core', _change_processing_controller)


def _change_processing_core(module: ModuleType) -> None:
    from ptychopinn_plugin.hosts.ptychodus.processing_core import adding_libraries

    needed = ('task_manager', 'settings_registry', 'algorithm_libraries')
    _wrap(module, 'ProcessingCore', '__init__', needed, adding_libraries)


def _change_processing_controller(module: ModuleType) -> None:
    from ptychopinn_plugin.hosts.ptychodus.processing_core import adding_pages

    needed = (
        'algorithm_parameter',
        'processing_api',
        'file_dialog_factory',
        'view_controller_factories',
    )
    _wrap(module, 'ProcessingController', '__init__', needed, adding_pages)


def _change_model_core(module: ModuleType) -> None:
    from ptychopinn_plugin.hosts.ptychodus.batch_product import completing_product

    needed = ('action', 'input_directory', 'output_directory')
    _wrap(module, 'ModelCore', 'batch_mode_execute', needed, completing_product)


def _wrap(
    module: ModuleType, class_name: str, method_name: str, needed: tuple[str, ...], around: Around
) -> None:
    """Do something around a method, if the method is what it is expected to be."""
    owner = getattr(module, class_name, None)
    method = getattr(owner, method_name, None)
    if hasattr(method, _MARK):
        return
    signature = inspect.signature(method) if method is not None else inspect.Signature()
    missing = [name for name in needed if name not in signature.parameters]
    if method is None or missing:
        logger.warning(
            '%s.%s.%s of this Ptychodus takes no %s; ptychopinn-plugin leaves it as it is',
            module.__name__,
            class_name,
            method_name,
            ', '.join(missing),
        )
        return

    @functools.wraps(method)
    def wrapped(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        bound = signature.bind(*args, **kwargs)
        steps = around(bound.arguments)
        begun = _attempt(around.__name__, lambda: next(steps))
        result = method(*bound.args, **bound.kwargs)
        if begun:
            _attempt(around.__name__, lambda: steps.send(args[0]))
        return result

    setattr(wrapped, _MARK, True)
    setattr(owner, method_name, wrapped)


def _attempt(what: str, step: Callable[[], None]) -> bool:
    """Do a step of ours and say whether it went well; Ptychodus goes on without it."""
    try:
        step()
    except StopIteration:
        return True
    except Exception:
        logger.warning('ptychopinn-plugin failed at %s', what.replace('_', ' '), exc_info=True)
        return False
    return True
