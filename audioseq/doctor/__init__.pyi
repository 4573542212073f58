from . import (
    clips as clips,
    examination as examination,
    faults as faults,
    findings as findings,
    fingerprints as fingerprints,
    labels as labels,
    page as page,
    repeats as repeats,
    siblings as siblings,
    speakers as speakers,
    tunes as tunes,
)
from .clips import (
    SILENT as SILENT,
    Measured as Measured,
    feature_of as feature_of,
    measure as measure,
    measure_all as measure_all,
)
from .examination import (
    examine as examine,
)
from .faults import (
    balance as balance,
    file_faults as file_faults,
    unreadable as unreadable,
)
from .findings import (
    SEVERITIES as SEVERITIES,
    Finding as Finding,
    Report as Report,
    Severity as Severity,
    by_severity as by_severity,
)
from .fingerprints import (
    SAME as SAME,
    Pair as Pair,
    correlation as correlation,
    duplicates as duplicates,
    nearest as nearest,
    signature as signature,
    sketch as sketch,
)
from .labels import (
    described as described,
    doubted as doubted,
    out_of_fold as out_of_fold,
    wrong_labels as wrong_labels,
)
from .page import (
    save_page as save_page,
)
from .repeats import (
    Repeat as Repeat,
    repeated as repeated,
)
from .siblings import (
    Sibling as Sibling,
    as_if_faster as as_if_faster,
    best_speed as best_speed,
    find_siblings as find_siblings,
)
from .speakers import (
    across_the_split as across_the_split,
    spelt_twice as spelt_twice,
)
from .tunes import (
    Tune as Tune,
    read_tune as read_tune,
    read_tunes as read_tunes,
    same_tunes as same_tunes,
    tune_faults as tune_faults,
)
