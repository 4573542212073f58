"""What is wrong with a folder of recordings or MIDI files, before anything is trained on it."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
