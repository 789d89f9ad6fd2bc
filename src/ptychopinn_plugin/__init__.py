"""PtychoPINN, physics-informed neural ptychography, as a plugin of Ptychodus."""

__version__ = '0.1.0'
