from . import load as load
from .load import (
    load_model as load_model,
)
