"""How OpenVINO is imported, without a word to anybody, and what it says when it fails."""

import re
import sys
from types import ModuleType

from transforms.errors import ModelError, brief

_PLACES_IN_ITS_CODE = re.compile(
    r"Exception from \S+:|Check '[^\n]*?' failed at \S+:|FrontEnd API failed[^\n]*|Summary:"
)


def report_nothing() -> None:
    """Keeps OpenVINO, and NNCF, from reporting; before either is imported.

    They report every import, conversion and call to Google Analytics by a package of its own,
    unless that is absent or the user has opted out.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]


def import_openvino() -> ModuleType:
    """Returns the module openvino.

    Raises:
        ModelError: If it is not installed.
    """
    report_nothing()
    try:
        import openvino
    except ImportError as error:
        raise ModelError(
            "ONNX models and --engine openvino need the package openvino: pip install '.[openvino]'"
        ) from error
    return openvino


def openvino_cause(error: Exception) -> str:
    """Returns what OpenVINO says, without the places in its own code.

    Exception from src/inference/src/cpp/core.cpp:84:
    Check 'false' failed at src/frontends/common_translators/src/unconverted_ops_report.cpp:151:
    FrontEnd API failed with OpConversionFailure:
    Model wasn't fully converted.                                        <- what is kept
    """
    return brief(Exception(_PLACES_IN_ITS_CODE.sub("", str(error))))
