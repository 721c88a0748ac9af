"""TensorFlow as the engine: frozen, folded, in mixed precision where that is wanted."""

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2, device_properties_pb2, rewriter_config_pb2
from tensorflow.python.grappler import tf_optimizer
from tensorflow.python.grappler.cluster import Cluster

from transforms.errors import InferenceError, ModelError, OutOfMemoryError
from transforms.images.tensor_view import as_tensor
from transforms.machine.cpu import has_bfloat16
from transforms.models.freeze import MAX_FROZEN_BYTES, freeze, import_graph
from transforms.models.load_errors import cause
from transforms.models.loaded_model import LoadedModel

_MIXED_PRECISION_PASS = {
    "bfloat16": "auto_mixed_precision_onednn_bfloat16",
    "float16": "auto_mixed_precision",
}
"""TensorFlow's graph rewrites: the first for oneDNN on CPUs, the second for CUDA."""

_FLOAT16_CAPABILITY = (7, 0)
"""Least compute capability of CUDA GPUs that are fast in float16: kMinGPUArch of TensorFlow 2.21's
auto_mixed_precision.cc. TensorFlow leaves a graph for an older one in float32, and says nothing."""

_REWRITTEN_FOR = {
    "bfloat16": device_properties_pb2.DeviceProperties(type="CPU"),
    "float16": device_properties_pb2.DeviceProperties(
        type="GPU", environment={"architecture": "7.0", "cuda": "12050", "cudnn": "9030"}
    ),
}
"""What a graph is rewritten for, on every machine the same, and no device is opened. For CUDA older
than 9.1 or cuDNN older than 8, attention or depthwise convolutions would stay in float32."""


class TensorFlowEngine:
    """Runs a loaded model with TensorFlow. Threads may call it at the same time.

    Attributes:
        device: "CPU" or "GPU".
        compiles_every_size: Whether every new batch size costs seconds: XLA's on a GPU does.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        precision: str,
        num_threads: int | None = None,
        *,
        xla: bool | None = None,
    ) -> None:
        """Prepares the model.

        Args:
            loaded: The model.
            precision: Name of the precision, one of `precisions()`.
            num_threads: Ignored: TensorFlow's threads are the process's (configure_tensorflow).
            xla: Whether to compile with XLA; None means on a GPU. On CPUs it is 1 to 14 times
                slower than TensorFlow's own kernels.

        Raises:
            ModelError: If the model is too large for another precision than float32.
        """
        self.device = "GPU" if _gpus() else "CPU"
        self.compiles_every_size = self.device == "GPU" if xla is None else xla
        function = freeze(loaded)
        if precision != "float32":
            if function is loaded.function:
                raise ModelError(
                    f"--precision {precision} needs a model that can be frozen, of variables of at "
                    f"most {MAX_FROZEN_BYTES} bytes and without tables; it has "
                    f"{loaded.size_bytes}; use --engine openvino or --precision float32"
                )
            function = _lower_precision(function, precision)
        # Once variables are constants their owner need not live.
        is_self_contained = bool(loaded.variables) and function is not loaded.function
        self._owner = None if is_self_contained else loaded.owner
        self._function = function
        self._compiled = _compile(function) if self.compiles_every_size else None

    @staticmethod
    def precisions() -> tuple[str, ...]:
        """Returns what this machine computes in, float32 first and the fastest last."""
        if gpus := _gpus():
            is_fast = all(_capability(gpu) >= _FLOAT16_CAPABILITY for gpu in gpus)
            return ("float32", "float16") if is_fast else ("float32",)
        return ("float32", "bfloat16") if has_bfloat16() else ("float32",)

    def __call__(self, pixels: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
        """Runs the model on a batch.

        Args:
            pixels: [n, height, width, 3], as the model takes them.

        Returns:
            float32, of the model's own shape.

        Raises:
            InferenceError: If the model fails on the batch; OutOfMemoryError if for want of memory.
        """
        compiled = self._compiled  # Another thread may find out that it does not work.
        if compiled is None:
            return run_function(self._function, pixels)
        try:
            return run_function(compiled, pixels)
        except OutOfMemoryError:
            raise
        except InferenceError:
            # XLA knows no strings and no tables. If it is the batch, this fails too.
            outputs = run_function(self._function, pixels)
            self._compiled, self.compiles_every_size = None, False
            return outputs


def run_function(
    function: tf.types.experimental.ConcreteFunction, pixels: npt.NDArray[np.generic]
) -> npt.NDArray[np.float32]:
    """Calls a function of images; see TensorFlowEngine's call."""
    try:
        return tf.nest.flatten(function(as_tensor(pixels)))[0].numpy()
    except tf.errors.ResourceExhaustedError as error:
        raise OutOfMemoryError(cause(error)) from error
    except tf.errors.OpError as error:
        raise InferenceError(cause(error)) from error


def _gpus() -> list[tf.config.PhysicalDevice]:
    return tf.config.list_physical_devices("GPU")


def _capability(gpu: tf.config.PhysicalDevice) -> tuple[int, int]:
    """Returns the CUDA compute capability; (0, 0) of what is not CUDA's."""
    details = tf.config.experimental.get_device_details(gpu)
    return details.get("compute_capability", (0, 0))


def _lower_precision(
    frozen: tf.types.experimental.ConcreteFunction, precision: str
) -> tf.types.experimental.ConcreteFunction:
    """Has TensorFlow rewrite a frozen graph so that what can compute in less precision does.

    The rewrite is done here and not by an option of the process, which would hold for every model
    and every graph of it. Folding after it turns the weights into the other type once.
    """
    config = config_pb2.ConfigProto()
    rewrites = config.graph_options.rewrite_options
    rewrites.optimizers.extend([_MIXED_PRECISION_PASS[precision], "constfold"])
    rewrites.min_graph_nodes = -1  # Small graphs too.
    on = rewriter_config_pb2.RewriterConfig.ON
    setattr(rewrites, _MIXED_PRECISION_PASS[precision], on)
    (images,), (outputs,) = frozen.inputs, frozen.outputs
    device = _REWRITTEN_FOR[precision]
    named = device_properties_pb2.NamedDevice(name=f"/{device.type}:0", properties=device)
    cluster = Cluster(devices=[named])
    try:
        graph = tf_optimizer.OptimizeGraph(config, _meta_graph(frozen), cluster=cluster)
    finally:
        cluster.Shutdown()
    return import_graph(graph, images, outputs)


def _meta_graph(frozen: tf.types.experimental.ConcreteFunction) -> tf.compat.v1.MetaGraphDef:
    with tf.Graph().as_default() as graph:
        tf.graph_util.import_graph_def(frozen.graph.as_graph_def(), name="")
        meta_graph = tf.compat.v1.train.export_meta_graph(graph=graph)
    # The optimizer keeps what a signature names.
    signature = meta_graph.signature_def["call"]
    for side, tensor in (
        (signature.inputs, frozen.inputs[0]),
        (signature.outputs, frozen.outputs[0]),
    ):
        side["x"].name = tensor.name
        side["x"].dtype = tensor.dtype.as_datatype_enum
        side["x"].tensor_shape.CopyFrom(tensor.shape.as_proto())
    return meta_graph


def _compile(
    function: tf.types.experimental.ConcreteFunction,
) -> tf.types.experimental.ConcreteFunction:
    """Returns the function compiled by XLA for every batch size."""
    images = function.inputs[0]
    return tf.function(
        lambda batch: function(batch),
        input_signature=[tf.TensorSpec(images.shape, images.dtype)],
        jit_compile=True,
        autograph=False,
    ).get_concrete_function()
