from . import (
    allowed as allowed,
    archive as archive,
    building as building,
    config as config,
    harmony as harmony,
    load as load,
    registration as registration,
    weights as weights,
)
from .archive import (
    unpack as unpack,
)
from .building import (
    check_size as check_size,
)
from .config import (
    Config as Config,
    read_config as read_config,
)
from .harmony import (
    harmonise as harmonise,
)
from .load import (
    load_model as load_model,
)
from .registration import (
    register_with_keras as register_with_keras,
)
from .weights import (
    check_weights as check_weights,
)
