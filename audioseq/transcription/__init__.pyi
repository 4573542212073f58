from . import (
    bundled as bundled,
    decoding as decoding,
    evaluation as evaluation,
    quantising as quantising,
    recordings as recordings,
    streaming as streaming,
    transcriber as transcriber,
)
from .bundled import (
    INSTRUMENTS as INSTRUMENTS,
    shipped_transcriber as shipped_transcriber,
    thresholds_of as thresholds_of,
    transcribe as transcribe,
)
from .decoding import (
    DecoderState as DecoderState,
    NoteDecoder as NoteDecoder,
    NoteEvent as NoteEvent,
    as_midi as as_midi,
    check_thresholds as check_thresholds,
    notes_of_events as notes_of_events,
)
from .evaluation import (
    Agreement as Agreement,
    Scores as Scores,
    TranscriptionEvaluation as TranscriptionEvaluation,
    compare as compare,
    evaluate_recordings as evaluate_recordings,
    misplaced as misplaced,
    tune as tune,
)
from .quantising import (
    check_grid as check_grid,
    estimate_beats as estimate_beats,
    quantise as quantise,
)
from .recordings import (
    Heard as Heard,
    estimate_tuning as estimate_tuning,
    hear as hear,
    probabilities_of as probabilities_of,
)
from .streaming import (
    Hearing as Hearing,
    KeyStream as KeyStream,
    KeyStreamState as KeyStreamState,
    NoteStreamState as NoteStreamState,
    TranscriptionStream as TranscriptionStream,
)
from .transcriber import (
    Transcriber as Transcriber,
)
