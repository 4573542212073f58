from . import (
    alignment as alignment,
    constantq as constantq,
    descriptions as descriptions,
    filters as filters,
    fronts as fronts,
    inversion as inversion,
    layer as layer,
    logfrequency as logfrequency,
    mel as mel,
    notes as notes,
    pitch as pitch,
    rhythm as rhythm,
    spectral as spectral,
    steps as steps,
    stream as stream,
    tonal as tonal,
)
from .alignment import (
    Aligned as Aligned,
    align as align,
)
from .constantq import (
    ConstantQ as ConstantQ,
    size_of as size_of,
    tone as tone,
)
from .descriptions import (
    Chain as Chain,
    Feature as Feature,
    Stack as Stack,
)
from .filters import (
    band_blocks as band_blocks,
    chroma_filters as chroma_filters,
    constant as constant,
    constant_q_chroma as constant_q_chroma,
    dct_matrix as dct_matrix,
    mel_edges as mel_edges,
    mel_filters as mel_filters,
    tonnetz_matrix as tonnetz_matrix,
)
from .fronts import (
    Description as Description,
    Front as Front,
    FrontEnd as FrontEnd,
    Plan as Plan,
    SampleFrames as SampleFrames,
    check_level as check_level,
    check_samples as check_samples,
    frames_on_numpy as frames_on_numpy,
    named_window as named_window,
    one_clip as one_clip,
    padded as padded,
    plan_of as plan_of,
    power_to as power_to,
    single_frame as single_frame,
    window_of as window_of,
)
from .inversion import (
    Parts as Parts,
    hpss as hpss,
    to_audio as to_audio,
)
from .layer import (
    FeatureLayer as FeatureLayer,
    has_gpu as has_gpu,
)
from .logfrequency import (
    LogFrequency as LogFrequency,
    Resolutions as Resolutions,
    rising_window as rising_window,
)
from .mel import (
    MFCC as MFCC,
    PCEN as PCEN,
    Delta as Delta,
    LogMel as LogMel,
    Mel as Mel,
    PowerToDb as PowerToDb,
    Spectrogram as Spectrogram,
)
from .notes import (
    bar_times as bar_times,
    beat_times as beat_times,
    check_frame_rate as check_frame_rate,
    interval_histogram as interval_histogram,
    note_chroma as note_chroma,
    note_density as note_density,
    note_onsets as note_onsets,
    note_polyphony as note_polyphony,
    note_roll as note_roll,
    pitch_class_histogram as pitch_class_histogram,
    tempo_curve as tempo_curve,
)
from .pitch import (
    Pitch as Pitch,
    PitchTrack as PitchTrack,
    autocorrelation as autocorrelation,
    pyin as pyin,
)
from .rhythm import (
    Beats as Beats,
    OnsetStrength as OnsetStrength,
    Tempogram as Tempogram,
    beats as beats,
)
from .spectral import (
    RMS as RMS,
    SpectralBandwidth as SpectralBandwidth,
    SpectralCentroid as SpectralCentroid,
    SpectralContrast as SpectralContrast,
    SpectralFlatness as SpectralFlatness,
    SpectralRolloff as SpectralRolloff,
    ZeroCrossingRate as ZeroCrossingRate,
)
from .steps import (
    Decibel as Decibel,
    Derivative as Derivative,
    GainControl as GainControl,
    Matmul as Matmul,
    Normalize as Normalize,
    Pick as Pick,
    Step as Step,
    TopDecibel as TopDecibel,
    floats as floats,
)
from .stream import (
    FrameStream as FrameStream,
    StackStream as StackStream,
    check_block as check_block,
    frames_of_blocks as frames_of_blocks,
)
from .tonal import (
    CQT as CQT,
    VQT as VQT,
    Chroma as Chroma,
    ChromaCQT as ChromaCQT,
    HarmonicCQT as HarmonicCQT,
    Tonnetz as Tonnetz,
)
