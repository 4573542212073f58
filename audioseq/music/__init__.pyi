from . import (
    accompaniment as accompaniment,
    constraints as constraints,
    copies as copies,
    counterpoint as counterpoint,
    evaluation as evaluation,
    filling as filling,
    generator as generator,
    guides as guides,
    harmony as harmony,
    learnt as learnt,
    likelihood as likelihood,
    limits as limits,
    manners as manners,
    options as options,
    particles as particles,
    piece as piece,
    planning as planning,
    sampling as sampling,
    sheet as sheet,
    statistics as statistics,
    synthesis as synthesis,
    timbres as timbres,
)
from .accompaniment import (
    PATTERNS as PATTERNS,
    accompany as accompany,
    accompany_score as accompany_score,
    chords_under as chords_under,
)
from .constraints import (
    BeatConstraints as BeatConstraints,
    DrumConstraints as DrumConstraints,
    EventConstraints as EventConstraints,
    MelodyConstraints as MelodyConstraints,
    constraints_of as constraints_of,
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
from .counterpoint import (
    Counterpoint as Counterpoint,
    parallels as parallels,
    voice_grid as voice_grid,
    voice_leading as voice_leading,
)
from .evaluation import (
    MusicEvaluation as MusicEvaluation,
    evaluate_music as evaluate_music,
)
from .filling import (
    fill as fill,
    harmonise_score as harmonise_score,
)
from .generator import (
    Note as Note,
    NoteStream as NoteStream,
    SequenceGenerator as SequenceGenerator,
)
from .guides import (
    Guide as Guide,
    Section as Section,
    chord_rows as chord_rows,
    form_of as form_of,
    guide_bias as guide_bias,
    no_guide as no_guide,
    remember as remember,
    stacked as stacked,
    stale_bias as stale_bias,
)
from .harmony import (
    KEY_SCORES as KEY_SCORES,
    QUALITIES as QUALITIES,
    SCALES as SCALES,
    TRIADS as TRIADS,
    Chord as Chord,
    chord_of as chord_of,
    key_number as key_number,
    key_of as key_of,
    key_pitches as key_pitches,
    parse_chords as parse_chords,
)
from .learnt import (
    MOST_VOICES as MOST_VOICES,
    NOTHING as NOTHING,
    Learnt as Learnt,
    Part as Part,
    learn as learn,
    melody_notes as melody_notes,
    voices_at_once as voices_at_once,
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
from .limits import (
    FOREIGN as FOREIGN,
    FREE as FREE,
    MISSING as MISSING,
    NO_KEY as NO_KEY,
    Constraints as Constraints,
)
from .manners import (
    INSTRUMENTS as INSTRUMENTS,
    as_played as as_played,
    parts_of as parts_of,
    program_of as program_of,
    shaped as shaped,
    with_key as with_key,
)
from .options import (
    BARS as BARS,
    Options as Options,
    is_meter as is_meter,
    is_range as is_range,
    is_tempo as is_tempo,
)
from .particles import (
    Given as Given,
    Particles as Particles,
)
from .piece import (
    Piece as Piece,
)
from .planning import (
    Plan as Plan,
    known_tokens as known_tokens,
    plan as plan,
)
from .sampling import (
    Job as Job,
    Sampler as Sampler,
)
from .sheet import (
    ListeningSheet as ListeningSheet,
    check_sheet as check_sheet,
    listening_sheet as listening_sheet,
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
