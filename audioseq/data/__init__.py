"""A folder to training, validation and test sets that share no speaker and no piece."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
