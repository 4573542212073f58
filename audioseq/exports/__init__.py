"""A saved model to SavedModel, LiteRT and ONNX, behind one parity gate."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
