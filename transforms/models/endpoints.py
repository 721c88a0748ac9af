"""What can be called in a SavedModel: read from saved_model.pb alone, without its weights.

A model that tf.keras saved may hold:

    __call__(images, training)     traced with training=True and training=False
    serving_default, a signature   one tensor in, a dict of tensors out
    front, an attribute            a layer or function that can be called alone

Of these `Endpoint`s come, such as (messages show them as `str` gives them):

    callable __call__(inputs: float32 [N, 224, 224, 3], training=False | ... training=True)
    signature serving_default(inputs: float32 [N, 224, 224, 3])

Which of them is called is decided in `inspection`.

Uses TensorFlow's decoder of nested structures, which is not public API; it is touched in this file
only.
"""

import inspect
from collections.abc import Mapping

import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2, saved_object_graph_pb2
from tensorflow.python.saved_model import nested_structure_coder

from transforms.models.endpoint import ONLY_OUTPUT, Endpoint, Trace
from transforms.models.spec import EndpointKind, Scalar, Training
from transforms.models.tensor_info import TensorInfo

_COMPOSITES = {"coo_sparse": "sparse tensor", "composite_tensor": "composite tensor"}
"""Words for what is more than one tensor, by its encoding in a signature."""

_KERAS_INTERNAL = ("_", "call_and_return_", "keras_api", "layer-", "layer_with_weights-")


def read_endpoints(meta_graph: meta_graph_pb2.MetaGraphDef) -> tuple[Endpoint, ...]:
    """Lists what can be called: the object itself, its signatures, its callable attributes."""
    endpoints = [
        _signature_endpoint(name, signature)
        for name, signature in sorted(meta_graph.signature_def.items())
        if not name.startswith("__saved_model")
    ]
    if not meta_graph.HasField("object_graph_def"):
        return tuple(endpoints)
    graph = meta_graph.object_graph_def
    for child in graph.nodes[0].children:
        node = graph.nodes[child.node_id]
        if child.local_name == "__call__" and node.WhichOneof("kind") == "function":
            endpoints.append(
                _function_endpoint(EndpointKind.CALLABLE, "__call__", node.function, graph)
            )
        elif child.local_name != "signatures" and not child.local_name.startswith(_KERAS_INTERNAL):
            endpoints.extend(_attribute_endpoints(child.local_name, node, graph))
    return tuple(endpoints)


def _attribute_endpoints(
    name: str,
    node: saved_object_graph_pb2.SavedObject,
    graph: saved_object_graph_pb2.SavedObjectGraph,
) -> list[Endpoint]:
    calls = [
        graph.nodes[child.node_id] for child in node.children if child.local_name == "__call__"
    ]
    functions = [found.function for found in (node, *calls) if found.HasField("function")]
    found = [
        _function_endpoint(EndpointKind.SUB_CALLABLE, name, function, graph)
        for function in functions[:1]
    ]
    # A Keras model has one attribute a layer; only those that take images are worth naming.
    return [endpoint for endpoint in found if endpoint.traces]


def _signature_endpoint(name: str, signature: meta_graph_pb2.SignatureDef) -> Endpoint:
    inputs = [_from_proto(key, signature.inputs[key]) for key in sorted(signature.inputs)]
    outputs = {key: _from_proto(key, signature.outputs[key]) for key in sorted(signature.outputs)}
    defaults = {
        key: value.item()
        for key, proto in sorted(signature.defaults.items())
        if (value := tf.make_ndarray(proto)).ndim == 0 and value.dtype.kind in "biuf"
    }
    switches = tuple(it.name for it in inputs if it.is_switch and it.name not in defaults)
    images = [it for it in inputs if it.name not in (*switches, *defaults)]
    traces = [
        Trace(it, outputs, switches=switches, defaults=tuple(defaults.items()))
        for it in images
        if len(images) == 1 and it.holds_images
    ]
    return Endpoint(
        EndpointKind.SIGNATURE,
        name,
        inputs=(", ".join(map(str, inputs)),),
        traces=tuple(traces),
        tensors=(tuple(inputs),),
    )


def _from_proto(name: str, info: meta_graph_pb2.TensorInfo) -> TensorInfo:
    kind = info.WhichOneof("encoding")
    if kind in _COMPOSITES:
        return TensorInfo(name, _COMPOSITES[kind], None)
    shape = None
    if not info.tensor_shape.unknown_rank:
        shape = tuple(None if dim.size < 0 else int(dim.size) for dim in info.tensor_shape.dim)
    return TensorInfo(name, tf.as_dtype(info.dtype).base_dtype.name, shape)


def _from_spec(name: str, spec: tf.TensorSpec) -> TensorInfo:
    shape = None if spec.shape.rank is None else tuple(spec.shape.as_list())
    return TensorInfo(name, spec.dtype.name, shape)


def _function_endpoint(
    kind: EndpointKind,
    name: str,
    function: saved_object_graph_pb2.SavedFunction,
    graph: saved_object_graph_pb2.SavedObjectGraph,
) -> Endpoint:
    arguments = _arguments(function.function_spec)
    inputs: list[str] = []
    tensors: list[tuple[TensorInfo, ...]] = []
    traces: list[Trace] = []
    trains = False
    for key in function.concrete_functions:
        concrete = graph.concrete_functions[key]
        try:
            args, kwargs = nested_structure_coder.decode_proto(
                concrete.canonicalized_input_signature
            )
            outputs = nested_structure_coder.decode_proto(concrete.output_signature)
        # A type of a library that is not installed: no image tensor, so not a trace of ours.
        except (ValueError, nested_structure_coder.NotEncodableError):
            inputs.append("arguments of a type unknown here")
            continue
        # names ("images", "training") and args (TensorSpec, False) make
        # bound {"images": TensorSpec, "training": False}: what this trace was made for.
        # A positional that the argspec does not name (*args) has a number for a name.
        names = [*arguments, *map(str, range(len(arguments), len(args)))]
        bound = {**dict(zip(names, args, strict=False)), **kwargs}
        inputs.append(", ".join(_describe(key, value) for key, value in bound.items()))
        tensors.append(
            tuple(_from_spec(k, it) for k, it in bound.items() if isinstance(it, tf.TensorSpec))
        )
        training = bound.get("training", False)
        images = _images_of(bound, arguments)
        if images is None:
            continue
        if training is True:
            trains = True
            continue
        passes_training = "training" in bound and training is not None
        traces.append(Trace(images, _outputs_of(outputs), passes_training))
    # A trace that takes training=False is the one made for inference.
    if any(trace.passes_training for trace in traces):
        traces = [trace for trace in traces if trace.passes_training]
    default = arguments.get("training", inspect.Parameter.empty)
    if not any(trace.passes_training for trace in traces):
        takes_training = Training.ABSENT
    elif default is inspect.Parameter.empty:
        takes_training = Training.REQUIRED
    else:
        takes_training = Training.OPTIONAL
    return Endpoint(
        kind,
        name,
        inputs=tuple(dict.fromkeys(inputs)),
        traces=tuple(traces),
        training=takes_training,
        trains=trains,
        hyperparameters=tuple(
            (key, value if isinstance(value, Scalar) else str(value))
            for key, value in list(arguments.items())[1:]
            if key != "training" and value is not inspect.Parameter.empty
        ),
        tensors=tuple(tensors),
    )


def _arguments(function_spec: saved_object_graph_pb2.FunctionSpec) -> dict[str, object]:
    """The arguments and their defaults (Parameter.empty for none), without self."""
    spec = nested_structure_coder.decode_proto(function_spec.fullargspec)
    # As inspect.getfullargspec says it: args (self, images, training), defaults (False,) are of the
    # last ones.
    names = list(spec.args)
    defaults = list(spec.defaults or ())
    arguments: dict[str, object] = dict.fromkeys(names, inspect.Parameter.empty)
    arguments.update(zip(names[len(names) - len(defaults) :], defaults, strict=True))
    if function_spec.is_method and names:
        del arguments[names[0]]
    for name in spec.kwonlyargs or ():
        arguments[name] = (spec.kwonlydefaults or {}).get(name, inspect.Parameter.empty)
    return arguments


def _images_of(bound: Mapping[str, object], arguments: Mapping[str, object]) -> TensorInfo | None:
    """The image argument, if the rest can be left at its defaults (and training=False)."""
    if not bound:
        return None
    (name, images), *rest = bound.items()
    if not isinstance(images, tf.TensorSpec) or not _from_spec(name, images).holds_images:
        return None
    for key, value in rest:
        if key == "training":
            continue
        default = arguments.get(key, inspect.Parameter.empty)
        # A tensor-valued hyperparameter takes its Python default; a Python value must be equal.
        if default is inspect.Parameter.empty or not (
            isinstance(value, tf.TensorSpec) or value == default
        ):
            return None
    return _from_spec(name, images)


def _outputs_of(outputs: object) -> dict[str, TensorInfo]:
    if isinstance(outputs, tf.TensorSpec):
        return {ONLY_OUTPUT: _from_spec(ONLY_OUTPUT, outputs)}
    if isinstance(outputs, Mapping):
        items = {str(key): value for key, value in outputs.items()}
    elif isinstance(outputs, tuple | list):
        items = {str(index): value for index, value in enumerate(outputs)}
    else:
        items = {}
    return {
        key: _from_spec(key, value)
        for key, value in sorted(items.items())
        if isinstance(value, tf.TensorSpec)
    }


def _describe(name: str, value: object) -> str:
    if isinstance(value, tf.TensorSpec):
        return str(_from_spec(name, value))
    return f"{name}={value!r}"[:80]
