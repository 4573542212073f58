from . import (
    constraints as constraints,
    copies as copies,
    evaluation as evaluation,
    generator as generator,
    likelihood as likelihood,
    sampling as sampling,
    statistics as statistics,
    synthesis as synthesis,
    timbres as timbres,
)
from .constraints import (
    MOST_VOICES as MOST_VOICES,
    Constraints as Constraints,
    constraints_of as constraints_of,
    key_pitches as key_pitches,
    pitch_mask as pitch_mask,
)
from .copies import (
    Copy as Copy,
    CopyIndex as CopyIndex,
    Leakage as Leakage,
    Shared as Shared,
    audit_folder as audit_folder,
    melody as melody,
    melody_of_roll as melody_of_roll,
    shared_grams as shared_grams,
)
from .evaluation import (
    MusicEvaluation as MusicEvaluation,
    evaluate_music as evaluate_music,
)
from .generator import (
    Note as Note,
    NoteStream as NoteStream,
    Options as Options,
    Plan as Plan,
    SequenceGenerator as SequenceGenerator,
    plan as plan,
)
from .likelihood import (
    FrameLikelihood as FrameLikelihood,
    TokenLikelihood as TokenLikelihood,
    frame_likelihood as frame_likelihood,
    frame_nats as frame_nats,
    piece_nats as piece_nats,
    require_fit as require_fit,
    score_of as score_of,
    token_likelihood as token_likelihood,
)
from .sampling import (
    Job as Job,
    Sampler as Sampler,
)
from .statistics import (
    Compared as Compared,
    Comparison as Comparison,
    Spread as Spread,
    Statistics as Statistics,
    compare as compare,
    describe as describe,
)
from .synthesis import (
    render as render,
    save_wav as save_wav,
    synthesize as synthesize,
)
from .timbres import (
    KIT as KIT,
    Drum as Drum,
    Struck as Struck,
    Sustained as Sustained,
    drum_of as drum_of,
    timbre_of as timbre_of,
)
