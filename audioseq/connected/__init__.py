"""Samples to words one after another: connected speech, and how it is trained, decoded and measured."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
