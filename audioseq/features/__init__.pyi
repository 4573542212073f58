from . import (
    alignment as alignment,
    descriptions as descriptions,
    layer as layer,
    notes as notes,
    steps as steps,
    stream as stream,
)
from .alignment import (
    Aligned as Aligned,
    align as align,
)
from .descriptions import (
    MFCC as MFCC,
    PCEN as PCEN,
    Chain as Chain,
    Delta as Delta,
    Feature as Feature,
    LogMel as LogMel,
    Mel as Mel,
    Spectrogram as Spectrogram,
)
from .layer import (
    FeatureLayer as FeatureLayer,
    has_gpu as has_gpu,
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
from .steps import (
    FrontEnd as FrontEnd,
    Plan as Plan,
    Step as Step,
    band_blocks as band_blocks,
    check_level as check_level,
    check_samples as check_samples,
    dct_matrix as dct_matrix,
    frames_on_numpy as frames_on_numpy,
    mel_filters as mel_filters,
    plan_of as plan_of,
    power_to as power_to,
    window_of as window_of,
)
from .stream import (
    FrameStream as FrameStream,
    check_block as check_block,
)
