from . import jacobians as jacobians, measures as measures, monitor as monitor, recurrent as recurrent, tasks as tasks
from .jacobians import (
    estimated_norms as estimated_norms,
    exact_norms as exact_norms,
    step_jacobians as step_jacobians,
    vjp as vjp,
)
from .measures import (
    GradientFlow as GradientFlow,
    LayerFlow as LayerFlow,
    MemoryShare as MemoryShare,
    Saturation as Saturation,
    gradient_flow as gradient_flow,
    hidden_states as hidden_states,
    memory_share as memory_share,
)
from .monitor import (
    GradientMonitor as GradientMonitor,
)
from .recurrent import (
    Reading as Reading,
    Recurrent as Recurrent,
    RecurrentError as RecurrentError,
    read as read,
    recurrent_layers as recurrent_layers,
)
from .tasks import (
    Task as Task,
    adding_problem as adding_problem,
    copy_task as copy_task,
)
