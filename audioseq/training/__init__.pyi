from . import (
    augment as augment,
    checkpoints as checkpoints,
    cluster as cluster,
    fitting as fitting,
    languages as languages,
    mining as mining,
    pace as pace,
    reports as reports,
    runs as runs,
    settings as settings,
    spellers as spellers,
    trainees as trainees,
    transcribers as transcribers,
    workers as workers,
)
from .augment import (
    BackgroundNoise as BackgroundNoise,
    FilterAugment as FilterAugment,
    Gain as Gain,
    Mixup as Mixup,
    Resample as Resample,
    Reverberation as Reverberation,
    SpecAugment as SpecAugment,
    TimeShift as TimeShift,
)
from .checkpoints import (
    Keeper as Keeper,
    Writer as Writer,
)
from .cluster import (
    Place as Place,
    is_chief as is_chief,
    own_place as own_place,
)
from .fitting import (
    Fitted as Fitted,
    device_scope as device_scope,
    fit as fit,
    steps_of as steps_of,
)
from .languages import (
    fit_language as fit_language,
)
from .mining import (
    HardNegatives as HardNegatives,
)
from .pace import (
    epochs_within as epochs_within,
    seconds_per_epoch as seconds_per_epoch,
)
from .reports import (
    limits_of as limits_of,
    negatives_report as negatives_report,
    words_report as words_report,
    write_alarms as write_alarms,
    write_words_run as write_words_run,
)
from .runs import (
    RunError as RunError,
    check_run as check_run,
    held as held,
    hold as hold,
    model_card as model_card,
    music_card as music_card,
    open_run as open_run,
    release as release,
    unfinished as unfinished,
    versions as versions,
    write_skipped as write_skipped,
)
from .settings import (
    Settings as Settings,
    TrainingError as TrainingError,
)
from .spellers import (
    SpelledText as SpelledText,
    diagonal as diagonal,
    label_nats as label_nats,
)
from .trainees import (
    AugmentedClassifier as AugmentedClassifier,
    NextFrame as NextFrame,
    NextToken as NextToken,
    NoteListener as NoteListener,
    Trainee as Trainee,
    clip_scores as clip_scores,
    feature_statistics as feature_statistics,
)
from .transcribers import (
    SpokenText as SpokenText,
    UtteranceTrainee as UtteranceTrainee,
    frame_statistics as frame_statistics,
)
from .workers import (
    Alone as Alone,
    Share as Share,
    Team as Team,
    drawn as drawn,
    join as join,
    previous as previous,
    scaled as scaled,
    team as team,
)
