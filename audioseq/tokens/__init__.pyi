from . import base as base, beats as beats, drums as drums, rolls as rolls, tokenizers as tokenizers
from .base import (
    BOS as BOS,
    EOS as EOS,
    PAD as PAD,
    GridNotes as GridNotes,
    Tokenizer as Tokenizer,
    in_one_voice as in_one_voice,
    on_grid as on_grid,
    score_on_grid as score_on_grid,
)
from .beats import (
    BeatTokenizer as BeatTokenizer,
)
from .drums import (
    DrumTokenizer as DrumTokenizer,
)
from .rolls import (
    notes_of_roll as notes_of_roll,
    piano_roll as piano_roll,
)
from .tokenizers import (
    EventTokenizer as EventTokenizer,
    MelodyTokenizer as MelodyTokenizer,
    tokenizer_from_dict as tokenizer_from_dict,
)
