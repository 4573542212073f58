from . import files as files, parsing as parsing, score as score, smf as smf
from .files import (
    find_midi as find_midi,
    load_midi as load_midi,
    save_midi as save_midi,
)
from .parsing import (
    read_score as read_score,
    score_of as score_of,
)
from .score import (
    Instrument as Instrument,
    Score as Score,
    as_pretty_midi as as_pretty_midi,
    as_score as as_score,
    changes_of as changes_of,
    clock_of as clock_of,
    notes_of as notes_of,
)
from .smf import (
    Events as Events,
    Limits as Limits,
    MidiError as MidiError,
    events_of as events_of,
    read_bytes as read_bytes,
)
