from . import (
    calibration as calibration,
    classifier as classifier,
    detector as detector,
    evaluation as evaluation,
    streaming as streaming,
    thresholds as thresholds,
)
from .calibration import (
    Calibration as Calibration,
    calibrate as calibrate,
    expected_calibration_error as expected_calibration_error,
)
from .classifier import (
    Classification as Classification,
    SequenceClassifier as SequenceClassifier,
)
from .detector import (
    Detector as Detector,
    Event as Event,
    stream_of as stream_of,
)
from .evaluation import (
    Evaluation as Evaluation,
    Misclassified as Misclassified,
    evaluate_folder as evaluate_folder,
    evaluate_predictions as evaluate_predictions,
    wilson_interval as wilson_interval,
)
from .streaming import (
    StreamError as StreamError,
    Streaming as Streaming,
    StreamState as StreamState,
    carrying as carrying,
    check_model as check_model,
    steps_of as steps_of,
)
from .thresholds import (
    Match as Match,
    match_events as match_events,
    scores_of as scores_of,
    tune_on_scores as tune_on_scores,
    tune_thresholds as tune_thresholds,
)
