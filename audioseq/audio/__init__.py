"""Sound files to float32 samples and back, a microphone, blocks of a long file."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
