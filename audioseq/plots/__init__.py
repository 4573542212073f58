"""Arrays to pictures: every function writes one PNG, whole or not at all, and takes its path first."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
