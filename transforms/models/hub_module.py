"""TF1 Hub's module format: how it is told from other SavedModels, and the size it declares."""

import os

from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import meta_graph_pb2

from transforms.models.proto_fields import fields, messages

_MARKER = "tfhub_module.pb"
_ATTACHMENTS = "hub_module_attachments"
_IMAGE_SIZE = b"image_module_info"


def is_hub_module(model_dir: str) -> bool:
    """Says whether a model is in TF1 Hub's format; its graph has no tags then."""
    return os.path.isfile(os.path.join(model_dir, _MARKER))


def declared_image_size(meta_graph: meta_graph_pb2.MetaGraphDef) -> tuple[int, int] | None:
    """Reads the image size that a TF1 Hub module declares.

    Returns:
        (height, width) in pixels, or None if it declares none.

    Source:
        ModuleAttachment {1: key, 2: value}, ImageModuleInfo {1: ImageSize {1: height, 2: width}}
        of tensorflow_hub/module_attachment.proto and image_module_info.proto, v0.12.
    """
    try:
        for attachment in meta_graph.collection_def[_ATTACHMENTS].bytes_list.value:
            if _IMAGE_SIZE in messages(attachment, 1):
                *_, info = messages(attachment, 2, 1)
                size = dict(fields(info))
                return int(size[1]), int(size[2])
    # An attachment of another shape is no reason to refuse the model: --image_size supplies it.
    except (DecodeError, KeyError, TypeError, ValueError):
        return None
    return None
