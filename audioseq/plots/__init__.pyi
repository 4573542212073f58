from . import (
    connected as connected,
    figure as figure,
    memory as memory,
    notebook as notebook,
    piano_roll as piano_roll,
    recognition as recognition,
    series as series,
    sound as sound,
    training as training,
    transcription as transcription,
)
from .connected import (
    alignment as alignment,
    label_probabilities as label_probabilities,
)
from .figure import (
    BEST as BEST,
    GREY as GREY,
    LINES as LINES,
    new_figure as new_figure,
    save_figure as save_figure,
)
from .memory import (
    gradient_flow as gradient_flow,
    memory_page as memory_page,
    memory_share as memory_share,
)
from .notebook import (
    player_html as player_html,
    roll_html as roll_html,
    scores_html as scores_html,
)
from .piano_roll import (
    notes as notes,
)
from .recognition import (
    confusion_matrix as confusion_matrix,
    detection_curve as detection_curve,
)
from .series import (
    forecasts as forecasts,
)
from .sound import (
    frames as frames,
)
from .training import (
    learning_curve as learning_curve,
)
from .transcription import (
    compared_notes as compared_notes,
    notes_over_frames as notes_over_frames,
)
