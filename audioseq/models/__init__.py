"""Frames, tokens or rolls to logits: plain functions that return a `keras.Model`, and the layers Keras lacks."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
