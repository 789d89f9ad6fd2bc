"""PtychoPINN, physics-informed neural ptychography, as a plugin of Ptychodus.

The names below are imported when they are first used; `__init__.pyi` lists them.
"""

import lazy_loader

__version__ = '0.1.0'

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
