"""How OpenVINO is imported: only where it is asked for, and without a word to anybody."""

import sys
from types import ModuleType

from transforms.errors import ModelError


def import_openvino() -> ModuleType:
    """Returns the module openvino.

    Raises:
        ModelError: If it is not installed.
    """
    # OpenVINO reports every import and conversion to Google Analytics by this package, unless it is
    # absent or the user has opted out.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import openvino
    except ImportError as error:
        raise ModelError(
            "ONNX models and --engine openvino need the package openvino: pip install '.[openvino]'"
        ) from error
    return openvino
