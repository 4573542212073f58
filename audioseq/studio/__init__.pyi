from . import (
    api as api,
    composing as composing,
    desk as desk,
    guard as guard,
    listening as listening,
    marks as marks,
    pieces as pieces,
    server as server,
    shelf as shelf,
    sounds as sounds,
    teaching as teaching,
    web as web,
)
from .api import (
    AUDIO as AUDIO,
    MIDI as MIDI,
    Asked as Asked,
    Binary as Binary,
    Endpoint as Endpoint,
    openapi as openapi,
    validator as validator,
)
from .composing import (
    Cancelled as Cancelled,
    accompany as accompany,
    drum as drum,
    fill as fill,
    generate as generate,
    harmonise as harmonise,
    remembered as remembered,
)
from .desk import (
    Desk as Desk,
)
from .guard import (
    Guard as Guard,
    kept_token as kept_token,
)
from .listening import (
    Listener as Listener,
    detect as detect,
    log_mel_bytes as log_mel_bytes,
    picture_of as picture_of,
)
from .marks import (
    KINDS_OF_MARK as KINDS_OF_MARK,
    Marks as Marks,
)
from .pieces import (
    MOST_NOTES as MOST_NOTES,
    MOST_TRACKS as MOST_TRACKS,
    PIECE as PIECE,
    as_json as as_json,
    from_json as from_json,
)
from .server import (
    MOST_MESSAGE as MOST_MESSAGE,
    application as application,
    listening_socket as listening_socket,
    serve as serve,
)
from .shelf import (
    KINDS as KINDS,
    Shelf as Shelf,
    StudioError as StudioError,
)
from .sounds import (
    as_wav as as_wav,
    instrument as instrument,
    sample as sample,
)
from .teaching import (
    Teaching as Teaching,
)
from .web import (
    WebReport as WebReport,
    archive as archive,
    export_site as export_site,
    in_browser as in_browser,
    runtime_folder as runtime_folder,
    step as step,
)
