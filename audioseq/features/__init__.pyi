from . import descriptions as descriptions, layer as layer, steps as steps, stream as stream
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
