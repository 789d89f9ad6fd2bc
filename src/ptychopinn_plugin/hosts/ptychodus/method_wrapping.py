"""Code of ours before and after a method of Ptychodus, in whatever version is installed."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Generator
from types import ModuleType
from typing import Any, TypeAlias, TypeVar, cast

logger = logging.getLogger(__name__)

Instance = TypeVar('Instance')
# The arguments of a call by name; what may be among them depends on the method.
Arguments: TypeAlias = dict[str, Any]
# Receives the arguments, may change them, yields for the call, and is sent the instance after it.
Around: TypeAlias = Callable[[Arguments], Generator[None, Instance, None]]

_MARK = '_ptychopinn_plugin_bridge'


def wrap_method(
    module: ModuleType,
    class_name: str,
    method_name: str,
    needed: tuple[str, ...],
    around: Around[Instance],
) -> None:
    """Run a function around a method, once, if the method has the parameters that are needed.

    Otherwise the method stays as it is, with a warning. An error of the function is logged, and the
    method runs as without it.

    Args:
        module: of the class.
        class_name: of the class.
        method_name: of the method, `__init__` for the constructor.
        needed: names of parameters that the function uses.
        around: the function.
    """
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
    def wrapped(*args: object, **kwargs: object) -> object:
        bound = signature.bind(*args, **kwargs)
        steps = around(bound.arguments)
        begun = _attempt(around.__name__, lambda: next(steps))
        result = method(*bound.args, **bound.kwargs)
        if begun:
            _attempt(around.__name__, lambda: steps.send(cast('Instance', args[0])))
        return result

    setattr(wrapped, _MARK, True)
    setattr(owner, method_name, wrapped)


def _attempt(name: str, step: Callable[[], None]) -> bool:
    """Run a step of ours; return whether it succeeded, log why not."""
    try:
        step()
    except StopIteration:
        return True
    except Exception:
        logger.warning('ptychopinn-plugin could not %s', name.replace('_', ' '), exc_info=True)
        return False
    return True
