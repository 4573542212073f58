from . import (
    annotations as annotations,
    chorales as chorales,
    clips as clips,
    download as download,
    encoded as encoded,
    instruments as instruments,
    negatives as negatives,
    practice as practice,
    rolls as rolls,
    series as series,
    soundfonts as soundfonts,
    splits as splits,
    tables as tables,
    transcripts as transcripts,
    tunes as tunes,
    unknown as unknown,
    words as words,
)
from .annotations import (
    Recordings as Recordings,
    read_notes as read_notes,
    recordings_with_notes as recordings_with_notes,
)
from .chorales import (
    Chorale as Chorale,
    write_chorales as write_chorales,
)
from .clips import (
    NOISE_FOLDER as NOISE_FOLDER,
    SILENCE as SILENCE,
    UNKNOWN as UNKNOWN,
    ClipSet as ClipSet,
)
from .download import (
    SPEECH_COMMANDS as SPEECH_COMMANDS,
    Corpus as Corpus,
    DownloadError as DownloadError,
)
from .encoded import (
    PieceReport as PieceReport,
    Pieces as Pieces,
    encode_file as encode_file,
    encode_folder as encode_folder,
)
from .instruments import (
    Sampled as Sampled,
    random_instrument as random_instrument,
    random_piano as random_piano,
    read_instruments as read_instruments,
    read_sampled as read_sampled,
)
from .negatives import (
    Negatives as Negatives,
    find_negatives as find_negatives,
)
from .practice import (
    HEARD as HEARD,
    Excerpt as Excerpt,
    Practice as Practice,
    heard_notes as heard_notes,
    in_some_room as in_some_room,
    pieces_of as pieces_of,
    play as play,
    random_notes as random_notes,
)
from .rolls import (
    PolyphonicMusic as PolyphonicMusic,
    RollBatch as RollBatch,
    RollSet as RollSet,
    read_polyphony as read_polyphony,
)
from .series import (
    Series as Series,
    read_series as read_series,
    rolling_origins as rolling_origins,
    windows as windows,
)
from .soundfonts import (
    Preset as Preset,
    read_soundfont as read_soundfont,
    soundfont_presets as soundfont_presets,
)
from .splits import (
    DatasetError as DatasetError,
    FolderSplit as FolderSplit,
    GroupSplit as GroupSplit,
    Guess as Guess,
    HashSplit as HashSplit,
    ListSplit as ListSplit,
    SpeakerPattern as SpeakerPattern,
    Split as Split,
    check_speakers as check_speakers,
    file_itself as file_itself,
    guess_speakers as guess_speakers,
    speaker_of as speaker_of,
    speaker_pattern as speaker_pattern,
    usual_split as usual_split,
)
from .tables import (
    Tables as Tables,
    read_table_of_numbers as read_table_of_numbers,
    resized as resized,
    table_folder as table_folder,
)
from .transcripts import (
    FrameSet as FrameSet,
    LabelledFrames as LabelledFrames,
    label_rolls as label_rolls,
    pack_frames as pack_frames,
    prepare as prepare,
    unpack_frames as unpack_frames,
)
from .tunes import (
    Survey as Survey,
    TokenSet as TokenSet,
    Tunes as Tunes,
    midi_folder as midi_folder,
    survey as survey,
    whole_folder as whole_folder,
)
from .unknown import (
    NegativeClips as NegativeClips,
    with_negatives as with_negatives,
)
from .words import (
    Words as Words,
    are_sides as are_sides,
    find_clips as find_clips,
    word_folder as word_folder,
)
