"""The data contract and its readers."""

from ptychopinn_plugin.contract.scan import ScanData, ScanMetadata

__all__ = ['ScanData', 'ScanMetadata']
