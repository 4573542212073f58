from . import (
    formats as formats,
    graphs as graphs,
    music as music,
    notes as notes,
    parity as parity,
    recurrent as recurrent,
    runtimes as runtimes,
    transcribers as transcribers,
    writing as writing,
)
from .formats import (
    NEEDS as NEEDS,
    SUFFIX as SUFFIX,
    add_metadata as add_metadata,
    read_metadata as read_metadata,
    size_of as size_of,
    write_graph as write_graph,
)
from .graphs import (
    ClipGraph as ClipGraph,
    Graph as Graph,
    SoundGraph as SoundGraph,
    StreamingGraph as StreamingGraph,
    frames_of as frames_of,
)
from .music import (
    TokenGraph as TokenGraph,
)
from .notes import (
    NotesGraph as NotesGraph,
)
from .parity import (
    Comparison as Comparison,
    ExportError as ExportError,
    ExportReport as ExportReport,
    ParityError as ParityError,
)
from .recurrent import (
    as_nodes as as_nodes,
    kind_of as kind_of,
    packed as packed,
)
from .runtimes import (
    ConversionError as ConversionError,
    convert as convert,
    run as run,
)
from .transcribers import (
    TranscriberGraph as TranscriberGraph,
)
from .writing import (
    export as export,
)
