"""Samples and notes to frames: every feature described once, computed on NumPy, in Keras and block by block."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
