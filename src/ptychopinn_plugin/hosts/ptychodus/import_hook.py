"""Call a function with a module: now if it is imported, else right after its import."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TypeAlias

Action: TypeAlias = Callable[[ModuleType], None]


def after_import(name: str, action: Action) -> None:
    """Call a function with a module, without importing it.

    Args:
        name: full name of the module.
        action: called once with the module; a later call for the same name replaces it while the
            module has not been imported.
    """
    module = sys.modules.get(name)
    if module is not None:
        action(module)
        return
    _action_finder().actions[name] = action


def _action_finder() -> _ActionFinder:
    found = next((f for f in sys.meta_path if isinstance(f, _ActionFinder)), None)
    if found is None:
        found = _ActionFinder()
        sys.meta_path.insert(0, found)
    return found


class _ActionFinder:
    """Finds modules as the other finders do and adds an action; removes itself after the last one.

    Attributes:
        actions: by name of a module that has not been imported yet.
    """

    def __init__(self) -> None:
        self.actions: dict[str, Action] = {}

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a module that has an action, None for others."""
        action = self.actions.pop(name, None)
        if action is None:
            return None
        if not self.actions:
            sys.meta_path.remove(self)
        for finder in [f for f in sys.meta_path if f is not self]:
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                _extend(spec, action)
                return spec
        return None


def _extend(spec: ModuleSpec, action: Action) -> None:
    """Make the loader of a spec call the action after it has executed the module."""
    loader = spec.loader
    if loader is None:
        return
    execute = loader.exec_module

    def execute_and_act(module: ModuleType) -> None:
        execute(module)
        action(module)

    # Only this method changes, so the loader still finds sources and resources.
    loader.exec_module = execute_and_act  # type: ignore[method-assign]
