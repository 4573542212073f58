from . import decoding as decoding, encoding as encoding, microphone as microphone, reading as reading
from .decoding import (
    AudioError as AudioError,
    check_sr as check_sr,
    length_of as length_of,
    mono_blocks as mono_blocks,
    open_sound as open_sound,
    read_size as read_size,
    reason_of as reason_of,
    skip as skip,
)
from .encoding import (
    FORMATS as FORMATS,
    WRITERS as WRITERS,
    save as save,
)
from .microphone import (
    MicrophoneError as MicrophoneError,
)
from .reading import (
    AudioInfo as AudioInfo,
    find_audio as find_audio,
    fit_length as fit_length,
    info as info,
    load as load,
    resample as resample,
    stream as stream,
)
