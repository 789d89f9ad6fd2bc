"""Installed as `ptychodus/plugins/ptychopinn_plugin_bridge.py`, where Ptychodus looks for plugins.

Ptychodus imports every module of that folder when it starts and calls its `register_plugins`.
"""

from __future__ import annotations

import logging

logger = logging.getLogger(__name__)


def register_plugins(registry: object) -> None:
    """Install the bridge; an error is logged, and Ptychodus starts without the plugin."""
    try:
        from ptychopinn_plugin.hosts.ptychodus.bridge import install

        install()
    except Exception:
        logger.warning('ptychopinn-plugin cannot be used', exc_info=True)
