from . import (
    attending as attending,
    decoding as decoding,
    evaluation as evaluation,
    grammar as grammar,
    language as language,
    rescoring as rescoring,
    streaming as streaming,
    strings as strings,
    transcriber as transcriber,
    transcripts as transcripts,
    units as units,
    utterances as utterances,
    words as words,
)
from .attending import (
    AttentionTranscriber as AttentionTranscriber,
)
from .decoding import (
    Free as Free,
    Hypothesis as Hypothesis,
    Prefix as Prefix,
    PrefixBeam as PrefixBeam,
    Search as Search,
    best_path as best_path,
    forced_path as forced_path,
    prefix_beam as prefix_beam,
)
from .evaluation import (
    Errors as Errors,
    WordErrors as WordErrors,
    align_words as align_words,
    evaluate_utterances as evaluate_utterances,
    word_errors as word_errors,
)
from .grammar import (
    DIGITS as DIGITS,
    Grammar as Grammar,
    GrammarError as GrammarError,
)
from .language import (
    Bigram as Bigram,
    LexiconSearch as LexiconSearch,
    read_lexicon as read_lexicon,
)
from .rescoring import (
    packed_texts as packed_texts,
    rescored as rescored,
    text_nats as text_nats,
)
from .streaming import (
    COMMIT as COMMIT,
    LogitState as LogitState,
    LogitStream as LogitStream,
    WordStream as WordStream,
)
from .strings import (
    Strings as Strings,
    StringSet as StringSet,
)
from .transcriber import (
    SpeechTranscriber as SpeechTranscriber,
)
from .transcripts import (
    TABLE as TABLE,
    Spoken as Spoken,
    Transcripts as Transcripts,
    read_table as read_table,
    transcript_folder as transcript_folder,
)
from .units import (
    LETTERS as LETTERS,
    WORDS as WORDS,
    Units as Units,
)
from .utterances import (
    FrameSet as FrameSet,
    UtteranceBatch as UtteranceBatch,
    UtteranceSet as UtteranceSet,
    packed as packed,
)
from .words import (
    SpokenWord as SpokenWord,
    Transcription as Transcription,
    WordReader as WordReader,
)
