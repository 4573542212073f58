from . import (
    decoding as decoding,
    encoding as encoding,
    ffmpeg as ffmpeg,
    levels as levels,
    microphone as microphone,
    opening as opening,
    reading as reading,
    resampling as resampling,
)
from .decoding import (
    AudioError as AudioError,
    ForwardFile as ForwardFile,
    check_sr as check_sr,
    length_of as length_of,
    read_size as read_size,
    reason_of as reason_of,
    skip as skip,
    sound_blocks as sound_blocks,
)
from .encoding import (
    FORMATS as FORMATS,
    WRITERS as WRITERS,
    save as save,
)
from .ffmpeg import (
    FFMPEG_SUFFIXES as FFMPEG_SUFFIXES,
    decoded_by_ffmpeg as decoded_by_ffmpeg,
    suffix_of as suffix_of,
)
from .levels import (
    active_part as active_part,
    clip_at as clip_at,
    frame_powers as frame_powers,
)
from .microphone import (
    MicrophoneError as MicrophoneError,
)
from .opening import (
    Source as Source,
    name_of as name_of,
    open_sound as open_sound,
)
from .reading import (
    AudioInfo as AudioInfo,
    find_audio as find_audio,
    fit_length as fit_length,
    info as info,
    load as load,
    stream as stream,
)
from .resampling import (
    resample as resample,
    resampled_blocks as resampled_blocks,
    resampled_length as resampled_length,
)
