from . import (
    crew as crew,
    folder as folder,
    plan as plan,
    settings as settings,
    shards as shards,
    together as together,
    work as work,
)
from .crew import (
    Crew as Crew,
)
from .folder import (
    FeatureFolder as FeatureFolder,
    read_features as read_features,
)
from .plan import (
    Plan as Plan,
    clean as clean,
    count as count,
    fold as fold,
    make_plan as make_plan,
    read_plan as read_plan,
    remove as remove,
    require_audio as require_audio,
)
from .settings import (
    FORMAT as FORMAT,
    ExtractionError as ExtractionError,
    Settings as Settings,
    name_of as name_of,
    named as named,
    read_settings as read_settings,
    snake_case as snake_case,
    spec_hash as spec_hash,
)
from .shards import (
    Job as Job,
    Tally as Tally,
    hash_of as hash_of,
    json_line as json_line,
    label_of as label_of,
    printable as printable,
    read_lines as read_lines,
    read_shard as read_shard,
    shard_folder as shard_folder,
    write_shard as write_shard,
)
from .together import (
    compute as compute,
)
from .work import (
    Extraction as Extraction,
    Progress as Progress,
    extract_features as extract_features,
)
