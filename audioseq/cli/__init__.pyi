from . import common as common
from .common import (
    DONE as DONE,
    FAILED as FAILED,
    INTERRUPTED as INTERRUPTED,
    USAGE as USAGE,
    add_run as add_run,
    load_tensorflow as load_tensorflow,
    not_negative as not_negative,
    positive as positive,
    positive_int as positive_int,
    run as run,
    seed as seed,
)
