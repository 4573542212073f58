"""A folder of recordings to a folder of features: one pass, in parallel, and memory maps by clip."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
