from . import (
    audio as audio,
    cli as cli,
    connected as connected,
    data as data,
    doctor as doctor,
    exports as exports,
    extraction as extraction,
    features as features,
    loading as loading,
    memory as memory,
    midi as midi,
    models as models,
    music as music,
    plots as plots,
    speech as speech,
    studio as studio,
    tokens as tokens,
    training as training,
    transcription as transcription,
)
from .arguments import ArgumentError as ArgumentError
from .audio import (
    AudioError as AudioError,
    AudioInfo as AudioInfo,
    info as info,
    load as load,
    resample as resample,
    save as save,
    stream as stream,
)
from .data import (
    DatasetError as DatasetError,
    GroupSplit as GroupSplit,
    HashSplit as HashSplit,
    ListSplit as ListSplit,
    chorales as chorales,
    encode_folder as encode_folder,
    splits as splits,
    tunes as tunes,
    word_folder as word_folder,
)
from .exports import (
    ExportError as ExportError,
    ParityError as ParityError,
    export as export,
)
from .extraction import (
    ExtractionError as ExtractionError,
    FeatureFolder as FeatureFolder,
    extract_features as extract_features,
    read_features as read_features,
)
from .features import (
    CQT as CQT,
    MFCC as MFCC,
    PCEN as PCEN,
    RMS as RMS,
    VQT as VQT,
    Chain as Chain,
    Chroma as Chroma,
    ChromaCQT as ChromaCQT,
    Delta as Delta,
    FeatureLayer as FeatureLayer,
    HarmonicCQT as HarmonicCQT,
    LogFrequency as LogFrequency,
    LogMel as LogMel,
    Mel as Mel,
    OnsetStrength as OnsetStrength,
    Pitch as Pitch,
    PowerToDb as PowerToDb,
    SpectralBandwidth as SpectralBandwidth,
    SpectralCentroid as SpectralCentroid,
    SpectralContrast as SpectralContrast,
    SpectralFlatness as SpectralFlatness,
    SpectralRolloff as SpectralRolloff,
    Spectrogram as Spectrogram,
    Stack as Stack,
    Tempogram as Tempogram,
    Tonnetz as Tonnetz,
    ZeroCrossingRate as ZeroCrossingRate,
    align as align,
    beats as beats,
    hpss as hpss,
    pyin as pyin,
    to_audio as to_audio,
)
from .loading import (
    harmonise as harmonise,
    load_model as load_model,
)
from .memory import (
    GradientMonitor as GradientMonitor,
    RecurrentError as RecurrentError,
    gradient_flow as gradient_flow,
    hidden_states as hidden_states,
    memory_share as memory_share,
    tasks as tasks,
)
from .midi import (
    MidiError as MidiError,
    load_midi as load_midi,
    save_midi as save_midi,
)
from .models import (
    ModelError as ModelError,
    layers as layers,
)
from .music import (
    Options as Options,
    SequenceGenerator as SequenceGenerator,
    copies as copies,
    statistics as statistics,
    synthesis as synthesis,
)
from .speech import (
    Detector as Detector,
    Event as Event,
    SequenceClassifier as SequenceClassifier,
    StreamError as StreamError,
    Streaming as Streaming,
    evaluate_folder as evaluate_folder,
    tune_thresholds as tune_thresholds,
)
from .tokens import (
    BeatTokenizer as BeatTokenizer,
    DrumTokenizer as DrumTokenizer,
    EventTokenizer as EventTokenizer,
    MelodyTokenizer as MelodyTokenizer,
    piano_roll as piano_roll,
)
from .training import (
    TrainingError as TrainingError,
    augment as augment,
    trainees as trainees,
)
from .transcription import (
    Transcriber as Transcriber,
    transcribe as transcribe,
)

__version__: str
