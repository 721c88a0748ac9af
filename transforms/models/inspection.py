"""Decides how to call a SavedModel on images, from saved_model.pb alone, without its weights."""

import itertools
import os
from collections.abc import Iterable

from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from transforms.errors import ModelError
from transforms.images.policy import INPUT_DTYPES
from transforms.models.endpoint import Endpoint, Trace
from transforms.models.endpoints import read_endpoints
from transforms.models.handle import SAVED_MODEL
from transforms.models.hub_module import declared_image_size, is_hub_module
from transforms.models.label_files import find_labels
from transforms.models.lfs_pointer import refuse_pointer
from transforms.models.model_files import files_beside
from transforms.models.outputs import choose_output, output_shape, usable_outputs
from transforms.models.refusals import refusal
from transforms.models.spec import EndpointKind, ModelSpec
from transforms.models.tensor_info import Layout, TensorInfo

_SIGNATURES = ("serving_default", "serve", "predict")
_REUSABLE = {"__call__", "regularization_losses"}
_HUB_MODULE_SIGNATURES = ("default", "image_feature_vector", "image_classification")


def inspect_saved_model(
    model_dir: str, *, signature: str | None = None, output_key: str | None = None
) -> ModelSpec:
    """Decides how to call a model: the object itself, else a signature, else as told.

    Args:
        model_dir: A directory that holds saved_model.pb.
        signature: The signature or callable attribute to use, or None to choose.
        output_key: The output to use, or None to choose.

    Raises:
        ModelError: If there is no one way to give it images and get vectors or logits. Lists what
            was found and names the flag to choose with.
    """
    hub_module = is_hub_module(model_dir)
    meta_graph, version = _read_meta_graph(model_dir, hub_module=hub_module)
    endpoints = read_endpoints(meta_graph)
    endpoint = _choose_endpoint(endpoints, signature, hub_module=hub_module)
    traces = _comparable(endpoint)
    sizes = tuple(dict.fromkeys(trace.images.image_size for trace in traces))
    if sizes == ((None, None),) and (declared := declared_image_size(meta_graph)):
        sizes = (declared,)
    fixed = [(height, width) for height, width in sizes if height and width]
    chosen = choose_output(endpoint, traces[0].outputs, output_key)
    rank, dim = output_shape(endpoint, traces[0].outputs[chosen])
    dims = {output_shape(endpoint, trace.outputs[chosen])[1] for trace in traces}
    return ModelSpec(
        kind=endpoint.kind,
        endpoint=endpoint.name,
        input_name=traces[0].images.name,
        dtype=traces[0].images.dtype,
        image_size=fixed[0] if len(sizes) == len(fixed) == 1 else None,
        image_sizes=sizes,
        batch_size=_batch_size(traces[0].images),
        training=endpoint.training,
        trains=endpoint.trains,
        hyperparameters=endpoint.hyperparameters,
        output_keys=usable_outputs(traces[0].outputs),
        output_key=chosen,
        output_rank=rank,
        output_dim=dim if len(dims) == 1 else None,
        signatures=_names(endpoints, EndpointKind.SIGNATURE),
        sub_callables=_names(endpoints, EndpointKind.SUB_CALLABLE),
        tags=tuple(sorted(meta_graph.meta_info_def.tags)),
        hub_module=hub_module,
        tensorflow_version=version,
        labels=find_labels(model_dir),
        files=files_beside(meta_graph),
        layout=traces[0].images.layout or Layout.RGB,
        switches=traces[0].switches,
        defaults=traces[0].defaults,
    )


def takes_unit_range(model_dir: str) -> bool:
    """Whether a model says by its form that it follows TF Hub's API: of images in [0, 1].

    TF1 Hub's modules do, and objects that list losses for fine-tuning. Keras' saves have that list
    of any model.

    Raises:
        ModelError: If it cannot be read.

    Source:
        https://www.tensorflow.org/hub/reusable_saved_models.
    """
    hub_module = is_hub_module(model_dir)
    meta_graph, _ = _read_meta_graph(model_dir, hub_module=hub_module)
    nodes = meta_graph.object_graph_def.nodes
    names = {child.local_name for child in nodes[0].children} if nodes else set()
    return hub_module or (names >= _REUSABLE and "keras_api" not in names)


def _read_meta_graph(
    model_dir: str, *, hub_module: bool
) -> tuple[meta_graph_pb2.MetaGraphDef, str]:
    path = os.path.join(model_dir, SAVED_MODEL)
    saved_model = saved_model_pb2.SavedModel()
    try:
        refuse_pointer(path)
        with open(path, "rb") as file:
            saved_model.ParseFromString(file.read())
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error}") from error
    except DecodeError as error:
        raise ModelError(
            f"{path} is no SavedModel, or not whole: {error}; copy it again"
        ) from error
    if not saved_model.meta_graphs:
        raise ModelError(f"{path} is not whole: it holds no graph; copy it again")
    wanted = set() if hub_module else {"serve"}
    graphs = list(saved_model.meta_graphs)
    matching = [graph for graph in graphs if set(graph.meta_info_def.tags) == wanted]
    if not matching and len(graphs) != 1:
        found = [sorted(graph.meta_info_def.tags) for graph in graphs]
        raise ModelError(f"{path} has graphs with the tags {found}, want {sorted(wanted)}")
    (graph, *_) = matching or graphs
    return graph, graph.meta_info_def.tensorflow_version


def _choose_endpoint(
    endpoints: tuple[Endpoint, ...], name: str | None, *, hub_module: bool
) -> Endpoint:
    if name is not None:
        named = [endpoint for endpoint in endpoints if endpoint.name == name]
        if not named:
            raise ModelError(f"--signature {name} is not in the model. {_found(endpoints)}")
        # A Keras export has its signature "serve" as an attribute too.
        for endpoint in named:
            if endpoint.traces:
                return endpoint
        raise ModelError(f"--signature {name} {refusal(named)}. {_found(endpoints)}")
    usable = {(endpoint.kind, endpoint.name): endpoint for endpoint in endpoints if endpoint.traces}
    if called := usable.get((EndpointKind.CALLABLE, "__call__")):
        return called
    preferred = (*(_HUB_MODULE_SIGNATURES if hub_module else ()), *_SIGNATURES)
    for signature in (*preferred, *_names(endpoints, EndpointKind.SIGNATURE)):
        if found := usable.get((EndpointKind.SIGNATURE, signature)):
            return found
    if usable:
        raise ModelError(
            f"the model itself cannot be called on images; choose a part of it with --signature. "
            f"{_found(endpoints)}"
        )
    raise ModelError(f"the model {refusal(endpoints)}. {_found(endpoints)}")


def _found(endpoints: Iterable[Endpoint]) -> str:
    listed = "; ".join(map(str, endpoints))
    return f"Found: {listed[:1500] or 'nothing that can be called'}"


def _names(endpoints: Iterable[Endpoint], kind: EndpointKind) -> tuple[str, ...]:
    return tuple(endpoint.name for endpoint in endpoints if endpoint.kind is kind)


def _comparable(endpoint: Endpoint) -> list[Trace]:
    """The traces that differ in image size only: of the best dtype, any batch size if possible."""
    for dtype, layout in itertools.product(INPUT_DTYPES, Layout):
        traces = [
            trace
            for trace in endpoint.traces
            if trace.images.dtype == dtype and trace.images.layout is layout
        ]
        if traces:
            batch_sizes = [_batch_size(trace.images) for trace in traces]
            best = None if None in batch_sizes else max(size for size in batch_sizes if size)
            return [trace for trace, size in zip(traces, batch_sizes, strict=True) if size == best]
    raise ModelError(
        f"{endpoint} takes none of {', '.join(INPUT_DTYPES)}; choose another with --signature"
    )


def _batch_size(images: TensorInfo) -> int | None:
    return images.shape[0] if images.shape else None
