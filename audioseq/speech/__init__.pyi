from . import (
    alarms as alarms,
    calibration as calibration,
    classifier as classifier,
    detector as detector,
    embedding as embedding,
    enrolment as enrolment,
    evaluation as evaluation,
    familiarity as familiarity,
    streaming as streaming,
    thresholds as thresholds,
    verifier as verifier,
)
from .alarms import (
    FalseAlarms as FalseAlarms,
    detected_in as detected_in,
    false_alarms as false_alarms,
)
from .calibration import (
    Calibration as Calibration,
    calibrate as calibrate,
    expected_calibration_error as expected_calibration_error,
)
from .classifier import (
    Classification as Classification,
    SequenceClassifier as SequenceClassifier,
    is_statistic as is_statistic,
)
from .detector import (
    Detector as Detector,
    Event as Event,
    stream_of as stream_of,
)
from .embedding import (
    embedding_network as embedding_network,
    last_dense as last_dense,
    numbers_of as numbers_of,
    trained_logits as trained_logits,
    unfamiliar_of as unfamiliar_of,
)
from .enrolment import (
    Enrolment as Enrolment,
    EnrolmentError as EnrolmentError,
    enroll as enroll,
    enrolled_words as enrolled_words,
    forget as forget,
)
from .evaluation import (
    Evaluation as Evaluation,
    Misclassified as Misclassified,
    evaluate_folder as evaluate_folder,
    evaluate_predictions as evaluate_predictions,
    wilson_interval as wilson_interval,
)
from .familiarity import (
    add_familiarity as add_familiarity,
)
from .streaming import (
    Part as Part,
    StreamError as StreamError,
    Streaming as Streaming,
    StreamState as StreamState,
    carrying as carrying,
    check_model as check_model,
    predicting as predicting,
    steps_of as steps_of,
)
from .thresholds import (
    Match as Match,
    OperatingPoint as OperatingPoint,
    match_events as match_events,
    poisson_bound as poisson_bound,
    scores_of as scores_of,
    tune_on_scores as tune_on_scores,
    tune_thresholds as tune_thresholds,
)
from .verifier import (
    Verifier as Verifier,
)
