"""Who takes part: each contender's name, the module that runs it, and what it needs."""

import importlib.util
import os
import shutil
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from transforms.machine.cpu import has_bfloat16, has_vnni

OURS = "ours_tensorflow_float32"
"""The pipeline as it is without flags; everybody's vectors are compared with its."""

ENGINES = ("tensorflow", "openvino")
PRECISIONS = ("float32", "bfloat16")

CALIBRATION = "calibration"
"""Directory of what calibrates int8, beside the models and the photos."""

CALIBRATION_PHOTOS = 64
"""The fewest that the pipeline takes: half of them calibrate, half tell what int8 costs."""


class Contender(NamedTuple):
    """One way to turn photos into vectors, or one part of it.

    Attributes:
        module: Its name in scripts.benchmarks.contenders. Its function
            `run(photos, model_dir, output, **arguments)` does the work.
        arguments: Of that function.
        precision: Of the model's arithmetic, or None if its vectors differ from ours by design.
        packages: What must be importable besides the project's own requirements.
        is_part: Whether it does one part of the work and writes nothing. It is then run with one
            calling thread and with one a core, as `run(photos, model_dir, threads, **arguments)`,
            and the faster counts.
    """

    module: str
    arguments: Mapping[str, str] = MappingProxyType({})
    precision: str | None = "float32"
    packages: tuple[str, ...] = ()
    is_part: bool = False


def _by_engine(name: str, module: str, *, is_part: bool) -> dict[str, Contender]:
    return {
        f"{name}_{engine}_{precision}": Contender(
            module,
            {"engine": engine, "precision": precision},
            precision,
            ("openvino",) if engine == "openvino" else (),
            is_part,
        )
        for engine in ENGINES
        for precision in PRECISIONS
    }


CONTENDERS = {
    **_by_engine("ours", "ours", is_part=False),
    "ours_openvino_bfloat16_fast": Contender(
        "ours",
        {"engine": "openvino", "precision": "bfloat16", "decode": "fast"},
        None,
        ("openvino",),
    ),
    "ours_openvino_int8": Contender(
        "ours",
        {
            "engine": "openvino",
            "precision": "int8",
            # The same for all photos: the model is made once, in an untimed run. Contenders run in
            # the directory that this is relative to.
            "calibration_images": f"{CALIBRATION}/{CALIBRATION_PHOTOS}",
            "precision_floor": "0",  # Weights are random.
        },
        None,
        ("openvino", "nncf"),
    ),
    "tf_data": Contender("tf_data"),
    "beam_per_image": Contender("beam_per_image"),
    "ray_data": Contender("ray_data", packages=("ray",)),
    "daft": Contender("daft_udf", packages=("daft",)),
    "spark": Contender("spark", packages=("pyspark",)),
    "openvino_loop": Contender(
        "openvino_loop", precision="bfloat16", packages=("openvino",)
    ),
    "decode_alone": Contender("decode_alone", is_part=True),
    **_by_engine("model_alone", "model_alone", is_part=True),
    "model_alone_openvino_int8": Contender(
        "model_alone",
        {"engine": "openvino", "precision": "int8"},
        None,
        ("openvino", "nncf"),
        is_part=True,
    ),
}  # fmt: skip

DOFN = "plain_dofn"
"""No contender of its own: what --inference_step compares OURS with."""


THREADED = {
    f"ours_{threads}_threads": Contender("ours", {"direct_num_workers": str(threads)})
    for threads in (1, 2, 4, 8, 16)
}
"""No contenders either: the pipeline with so many threads, which --threads compares."""


def find_contender(name: str) -> Contender:
    """Returns what a name stands for."""
    return {**CONTENDERS, **THREADED, DOFN: Contender("dofn")}[name]


def why_not(contender: Contender) -> str | None:
    """Says why a contender cannot run here, or None if it can."""
    for package in contender.packages:
        if importlib.util.find_spec(package) is None:
            return f"{package} is not installed (pip install '.[benchmark]')"
    precision = contender.arguments.get("precision", contender.precision)
    if precision == "bfloat16" and not has_bfloat16():
        return "this CPU computes no bfloat16 (AVX512_BF16, AMX)"
    if precision == "int8" and not has_vnni():
        return "this CPU has no VNNI: int8 would be another model, and slow"
    if "pyspark" in contender.packages and not (
        os.environ.get("JAVA_HOME") or shutil.which("java")
    ):
        return "Spark needs Java, and there is none"
    return None


def choose_contenders(names: Sequence[str]) -> dict[str, Contender]:
    """Returns those that can run here; says why the others cannot."""
    chosen = {}
    for name in names:
        contender = find_contender(name)
        if reason := why_not(contender):
            print(f"{name}: skipped: {reason}")
        else:
            chosen[name] = contender
    return chosen
