"""Results on disk: saved whole or not at all, loaded strictly."""

from ptychopinn_plugin.results.files import SUFFIXES, load_result, save_reconstruction
from ptychopinn_plugin.results.npz import load_npz, save_npz
from ptychopinn_plugin.results.result import Result

__all__ = ['SUFFIXES', 'Result', 'load_npz', 'load_result', 'save_npz', 'save_reconstruction']
