"""What every other engine and precision is compared with: the format's own engine in float32."""

import numpy as np
import numpy.typing as npt

from transforms.models.any_model import AnyModel
from transforms.models.loaded_model import LoadedModel
from transforms.models.openvino_engine import OpenVinoEngine
from transforms.models.tensorflow_engine import run_function


def reference_engine(loaded: AnyModel) -> "Unfolded | OpenVinoEngine":
    """Returns what other engines and precisions are compared with."""
    if isinstance(loaded, LoadedModel):
        return Unfolded(loaded)
    return OpenVinoEngine(loaded, "float32")


class Unfolded:
    """A SavedModel as it was loaded: TensorFlow, float32, nothing folded."""

    device = "CPU"
    compiles_every_size = False

    def __init__(self, loaded: LoadedModel) -> None:
        self._function = loaded.function

    def __call__(self, pixels: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
        """Runs the model on a batch; see TensorFlowEngine's call."""
        return run_function(self._function, pixels)
