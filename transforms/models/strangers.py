"""Files of models that are neither SavedModels nor ONNX: what they are, and the cure."""

import re

_CONVERT = "wanted a TF2 SavedModel or ONNX file made of that model"
_WEIGHTS = "build the model, load them, and export it: model.export(directory)"
_EXPORT = "export it first: model.export(directory)"

_KINDS = (
    (r"\.weights\.h5", "a Keras file of weights alone", _WEIGHTS),
    (r"\.(keras|h5|hdf5)", "a Keras file", _EXPORT),
    (r"\.(pt|pth)|^pytorch_model.*\.bin", "a PyTorch file", _CONVERT),
    (r"\.safetensors", "a safetensors file", _CONVERT),
    (r"\.(tf)?lite", "a TensorFlow Lite file", _CONVERT),
    (r"ckpt.*\.(index|meta|data-[0-9]+-of-[0-9]+)", "a checkpoint, of weights alone", _CONVERT),
    (r"(frozen|graph).*\.pb", "a frozen graph", _CONVERT),
    (r"\.pbtxt", "a graph as text", "wanted the binary saved_model.pb"),
    (r"\.ort", "a file of ONNX Runtime's own format", "give the .onnx file that it was made of"),
    (r"\.(mlmodel|mlpackage|engine|plan)", "a compiled model", _CONVERT),
    (r"\.zip", "a zip archive", "unpack it, and give the directory"),
)
"""Ends of file names, what the files are, and the cure. Source: what the exporters write."""


def describe_stranger(name: str) -> str | None:
    """Says what a file is by its name, and the cure; None of names that say nothing.

    Of "model.tflite" it is "a TensorFlow Lite file; wanted a TF2 SavedModel or ONNX file made of
    that model".
    """
    for end, kind, cure in _KINDS:
        if re.search(f"({end})$", name, re.IGNORECASE):
            return f"{kind}; {cure}"
    return None
