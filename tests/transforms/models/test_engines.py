"""Every engine and precision gives the model's answers, or is refused with the reason."""

import pathlib
from collections.abc import Callable
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from tests.support.models import save_output
from tests.transforms.models.test_image_model import UNCONVERTIBLE
from transforms.errors import InferenceError, ModelError, OutOfMemoryError
from transforms.machine import cpu
from transforms.machine.cpu import has_bfloat16
from transforms.models import image_model, tensorflow_engine
from transforms.models.engine_settings import ENGINES, EngineSettings
from transforms.models.image_model import MIN_COSINE, ImageModel
from transforms.models.inspection import inspect_saved_model
from transforms.models.isolation import predict_isolating
from transforms.models.loaded_model import LoadedModel, load_saved_model
from transforms.models.openvino_engine import count_parts
from transforms.models.tensorflow_engine import TensorFlowEngine

SavedModel = Callable[[str], str]
PRECISIONS = ["float32"] + ["bfloat16"] * has_bfloat16()


def load(model_dir: str, image_size: tuple[int, int] | None = None, **settings: str) -> ImageModel:
    spec = inspect_saved_model(model_dir)
    return ImageModel(
        model_dir,
        spec,
        image_size=spec.choose_image_size(image_size),
        settings=EngineSettings(**settings),  # type: ignore[arg-type]
    )


def loaded_model(model_dir: str) -> LoadedModel:
    return load_saved_model(model_dir, inspect_saved_model(model_dir), (24, 24))


def save_network(directory: pathlib.Path) -> str:
    """Writes a small network with what precision is lost in: convolutions and a dense layer."""
    random = np.random.default_rng(0)
    kernels = [
        random.normal(size=shape).astype(np.float32) / np.sqrt(np.prod(shape[:-1]))
        for shape in ((3, 3, 3, 16), (3, 3, 16, 32), (32, 24))
    ]

    def call(images: tf.Tensor) -> tf.Tensor:
        for kernel in kernels[:2]:
            images = tf.nn.relu(tf.nn.conv2d(images, kernel, 2, "SAME"))
        return tf.matmul(tf.reduce_mean(images, axis=[1, 2]), kernels[2])

    return save_output(directory, call)


def images(count: int = 9) -> npt.NDArray[np.float32]:
    return np.random.default_rng(1).random((count, 24, 24, 3), np.float32)


def cosines(
    first: npt.NDArray[np.float32], second: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return (first * second).sum(axis=1) / norms


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_gives_the_answers_and_measures_how_close_they_are(
    tmp_path: pathlib.Path, engine: str, precision: str
) -> None:
    model_dir = save_network(tmp_path)
    expected = load(model_dir)(images())
    made = load(model_dir, engine=engine, precision=precision)
    outputs = made(images())
    report = made.report
    assert (report.engine, report.precision, report.device) == (engine, precision, "CPU")
    if (engine, precision) == ("tensorflow", "float32"):
        assert report.min_cosine is None
    else:
        assert report.min_cosine is not None
        assert report.min_cosine >= MIN_COSINE
    assert cosines(outputs, expected).min() > (0.999999 if precision == "float32" else 0.9999)
    is_rounded = not np.allclose(outputs, expected, rtol=1e-5, atol=1e-5)
    assert is_rounded == (precision == "bfloat16")
    np.testing.assert_allclose(made(images()[:1]), outputs[:1], rtol=0.02, atol=0.01)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", ["classification", "feature_vector"])
def test_a_real_model_gives_its_answers_on_every_engine(
    shared_data: pathlib.Path, kind: str, engine: str, precision: str
) -> None:
    golden = np.load(shared_data / "golden" / "squeezenet_raccoon.npz")
    names = golden["files"][:8]
    photos = shared_data / "photos" / "raccoon" / "images"
    decoded = [tf.io.decode_jpeg((photos / str(name)).read_bytes(), channels=3) for name in names]
    pixels = np.stack([tf.image.resize(image, [227, 227]).numpy() / 255 for image in decoded])
    made = load(
        str(shared_data / "models" / f"squeezenet_{kind}"), engine=engine, precision=precision
    )
    outputs, expected = made(pixels.astype(np.float32)), golden[kind][:8]
    assert cosines(outputs, expected).min() > (0.99999 if precision == "float32" else 0.999)
    if precision == "float32":
        np.testing.assert_array_equal(outputs.argmax(axis=1), expected.argmax(axis=1))


@pytest.mark.parametrize("engine", ENGINES)
def test_float16_is_refused_where_there_is_none(tmp_path: pathlib.Path, engine: str) -> None:
    if "float16" in image_model._ENGINES[engine].precisions():
        pytest.skip("this machine computes in float16")
    with pytest.raises(ModelError, match=rf"--precision float16 with --engine {engine}: this mach"):
        load(save_network(tmp_path), engine=engine, precision="float16")


def multiplied_types(engine: TensorFlowEngine) -> dict[str, str]:
    names = ("Conv2D", "DepthwiseConv2dNative", "MatMul", "BatchMatMulV2")
    nodes = engine._function.graph.as_graph_def().node
    return {node.op: tf.DType(node.attr["T"].type).name for node in nodes if node.op in names}


def test_in_float16_everything_that_multiplies_does(tmp_path: pathlib.Path) -> None:
    kernel = np.random.default_rng(2).normal(size=(3, 3, 3, 4)).astype(np.float32)

    def call(images: tf.Tensor) -> tf.Tensor:
        images = tf.nn.depthwise_conv2d(images, kernel, (1, 2, 2, 1), "SAME")
        tokens = tf.reshape(images, [-1, 144, 12])
        attention = tf.nn.softmax(tf.matmul(tokens, tokens, transpose_b=True))
        return tf.reduce_mean(tf.matmul(attention, tokens), axis=1)

    loaded = loaded_model(save_output(tmp_path, call))
    engine = TensorFlowEngine(loaded, "float16")
    wanted = {"DepthwiseConv2dNative": "float16", "BatchMatMulV2": "float16"}
    assert multiplied_types(engine) == wanted
    expected = TensorFlowEngine(loaded, "float32")(images())
    assert cosines(engine(images()), expected).min() > 0.999


@pytest.mark.parametrize("xla", [False, True])
def test_float16_as_on_a_gpu_is_rounded_and_close(tmp_path: pathlib.Path, xla: bool) -> None:
    # CPUs are slow in float16 and give a GPU's answers.
    loaded = loaded_model(save_network(tmp_path))
    engine = TensorFlowEngine(loaded, "float16", xla=xla)
    assert multiplied_types(engine) == {"Conv2D": "float16", "MatMul": "float16"}
    outputs, expected = engine(images()), TensorFlowEngine(loaded, "float32")(images())
    assert outputs.dtype == np.float32
    assert cosines(outputs, expected).min() > 0.9999
    assert not np.allclose(outputs, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ([(7, 0)], ("float32", "float16")),
        ([(9, 0), (8, 6)], ("float32", "float16")),
        ([(6, 1)], ("float32",)),
        ([(9, 0), (6, 1)], ("float32",)),
        ([None], ("float32",)),
    ],
)
def test_float16_is_for_gpus_that_are_fast_in_it(
    monkeypatch: pytest.MonkeyPatch,
    capabilities: list[tuple[int, int] | None],
    expected: tuple[str, ...],
) -> None:
    details = [{"compute_capability": capability} if capability else {}
               for capability in capabilities]  # fmt: skip
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: range(len(details)))
    monkeypatch.setattr(tf.config.experimental, "get_device_details", details.__getitem__)
    assert TensorFlowEngine.precisions() == expected


def test_bfloat16_is_refused_where_there_is_none(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensorflow_engine, "has_bfloat16", lambda: False)
    model_dir = save_network(tmp_path)
    with pytest.raises(ModelError, match="this machine computes in float32 "):
        load(model_dir, precision="bfloat16")
    assert load(model_dir, precision="auto").report.precision == "float32"


@pytest.mark.parametrize(
    ("cpu_info", "expected"),
    [
        ("processor : 0\nflags : fpu avx512f avx512_bf16\n", True),
        ("processor : 0\nflags : fpu amx_tile amx_bf16\n", True),
        ("processor : 0\nflags : fpu avx512f avx512_bf16x\n", False),
        ("processor : 0\nFeatures : fp asimd bf16\n", False),
        (None, False),
    ],
)
def test_the_cpu_says_whether_it_has_bfloat16(
    tmp_path: pathlib.Path, cpu_info: str | None, expected: bool
) -> None:
    path = tmp_path / "cpuinfo"
    if cpu_info is not None:
        path.write_text(cpu_info)
    assert cpu.has_bfloat16(path) is expected


@pytest.mark.parametrize(
    ("flags", "expected"),
    [("avx512f avx512_vnni", True), ("avx2 avx_vnni", True), ("avx512f avx2", False)],
)
def test_the_cpu_says_whether_it_has_vnni(
    tmp_path: pathlib.Path, flags: str, expected: bool
) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text(f"processor : 0\nflags : fpu {flags}\n")
    assert cpu.has_vnni(path) is expected
    assert cpu.has_vnni(tmp_path / "none") is False


@pytest.mark.skipif(not has_bfloat16(), reason="this CPU has no bfloat16")
@pytest.mark.parametrize("engine", ENGINES)
def test_a_precision_that_moves_the_answers_is_refused_and_auto_avoids_it(
    tmp_path: pathlib.Path, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model_dir = save_network(tmp_path)
    assert load(model_dir, engine=engine, precision="auto").report.precision == "bfloat16"
    monkeypatch.setattr(image_model, "MIN_COSINE", 0.9999999)
    with pytest.raises(ModelError, match=r"a cosine of 0\.9999.* use --precision float32$"):
        load(model_dir, engine=engine, precision="bfloat16")
    if engine == "tensorflow":
        assert load(model_dir, engine=engine, precision="auto").report.precision == "float32"


@pytest.mark.skipif(not has_bfloat16(), reason="this CPU has no bfloat16")
@pytest.mark.parametrize("engine", ENGINES)
def test_one_output_that_a_precision_moves_is_refused_too(
    tmp_path: pathlib.Path, engine: str
) -> None:
    """Answers of a sigmoid have one sign, and so a cosine of 1 whatever they are."""
    scale, side = 20 * np.eye(3, dtype=np.float32), np.array([[1], [-1], [0]], np.float32)

    def call(images: tf.Tensor) -> tf.Tensor:
        # Near 1010, numbers of bfloat16 are 4 apart: what two differ by is lost.
        near = tf.nn.relu(tf.matmul(tf.reduce_mean(images, axis=[1, 2]), scale) + 1000)
        return tf.sigmoid(tf.matmul(near, side))

    model_dir = save_output(tmp_path, call)
    with pytest.raises(ModelError, match=r"moves this model's answers to a cosine of 0\.9[0-8]"):
        load(model_dir, engine=engine, precision="bfloat16")
    assert load(model_dir, engine=engine, precision="auto").report.precision == "float32"


@pytest.mark.parametrize("name", UNCONVERTIBLE)
def test_a_model_that_openvino_cannot_convert_is_refused(
    saved_model: SavedModel, name: str
) -> None:
    with pytest.raises(ModelError, match="cannot convert this model, use --engine tensorflow: "):
        load(saved_model(name), (24, 24), engine="openvino")


@pytest.mark.skipif(not has_bfloat16(), reason="this CPU has no bfloat16")
def test_a_model_that_cannot_be_frozen_has_no_other_precision(saved_model: SavedModel) -> None:
    with pytest.raises(
        ModelError, match=r"needs a model that can be frozen.*use --engine openvino"
    ):
        load(saved_model("loop_and_table"), (24, 24), precision="bfloat16")


def test_openvino_reports_nothing_to_anybody() -> None:
    import subprocess
    import sys

    program = (
        "import sys; from transforms.models.openvino_engine import OpenVinoEngine\n"
        "assert 'openvino' not in sys.modules\n"
        "OpenVinoEngine.precisions()\n"
        "print([name for name in sys.modules if name.startswith('openvino_telemetry.')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_openvino_sees_rows_that_tensorflow_gave_and_may_not_be_written(
    tmp_path: pathlib.Path,
) -> None:
    made = load(save_network(tmp_path), engine="openvino")
    tensor = tf.constant(images())
    view = np.asarray(memoryview(tensor))
    assert not view.flags.writeable
    np.testing.assert_array_equal(made(view), made(images()))
    np.testing.assert_array_equal(made(images()[::2]), made(images())[::2])


@pytest.mark.parametrize("count", [1, 4, 7, 8, 9, 31, 33])
def test_openvino_divides_a_batch_and_keeps_its_order(tmp_path: pathlib.Path, count: int) -> None:
    made = load(save_network(tmp_path), engine="openvino")
    alone = np.concatenate([made(image[None]) for image in images(count)])
    np.testing.assert_allclose(made(images(count)), alone, atol=1e-5)


@pytest.mark.parametrize(
    ("images", "num_streams", "num_cores", "parts"),
    [
        (0, 2, 2, 1),
        (7, 2, 2, 1),
        (8, 2, 2, 2),
        (32, 2, 2, 8),
        (32, 1, 1, 8),
        (32, 4, 16, 4),  # Parts of 16, as the caches would hold, would leave two streams idle.
        (24, 4, 16, 3),
        (128, 4, 16, 8),
    ],
)
def test_a_batch_is_divided_for_streams_and_for_caches(
    images: int, num_streams: int, num_cores: int, parts: int
) -> None:
    assert count_parts(images, num_streams, num_cores) == parts


def test_what_one_call_gave_the_next_call_leaves_alone(tmp_path: pathlib.Path) -> None:
    made = load(save_network(tmp_path), engine="openvino")
    first = made(images())
    kept = first.copy()
    made(images() * 0.5)
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize("size", [1, 3, 8])
def test_a_graph_compiled_by_xla_gives_the_same_answers(tmp_path: pathlib.Path, size: int) -> None:
    # XLA is used on GPUs; on a CPU it is compiled the same way.
    loaded = loaded_model(save_network(tmp_path))
    compiled = TensorFlowEngine(loaded, "float32", xla=True)
    assert compiled.compiles_every_size
    expected = TensorFlowEngine(loaded, "float32")(images(size))
    np.testing.assert_allclose(compiled(images(size)), expected, rtol=1e-4, atol=1e-5)


def test_a_graph_that_xla_cannot_compile_runs_without(saved_model: SavedModel) -> None:
    engine = TensorFlowEngine(loaded_model(saved_model("loop_and_table")), "float32", xla=True)
    np.testing.assert_allclose(engine(images()), images().mean(axis=(1, 2)), atol=1e-6)
    assert not engine.compiles_every_size


class Compiling(TensorFlowEngine):
    """An engine that is given full batches, as on a GPU, and has memory for a few images."""

    calls: ClassVar[list[int]]
    memory_images: ClassVar[int]

    def __init__(self, loaded: LoadedModel, precision: str, num_threads: int | None) -> None:
        super().__init__(loaded, precision, num_threads)
        self.compiles_every_size = True

    def __call__(self, pixels: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
        self.calls.append(len(pixels))
        if len(pixels) > self.memory_images:
            raise OutOfMemoryError("no memory")
        return super().__call__(pixels)


@pytest.fixture
def compiling(monkeypatch: pytest.MonkeyPatch) -> type[Compiling]:
    monkeypatch.setitem(image_model._ENGINES, "tensorflow", Compiling)
    Compiling.calls, Compiling.memory_images = [], 4
    return Compiling


def load_for_batches(model_dir: str, batch_size: int, precision: str = "float32") -> ImageModel:
    settings = EngineSettings(batch_size=batch_size, precision=precision)
    spec = inspect_saved_model(model_dir)
    return ImageModel(model_dir, spec, image_size=(24, 24), settings=settings)


def test_an_engine_that_compiles_every_size_gets_full_batches_only(
    tmp_path: pathlib.Path, compiling: type[Compiling]
) -> None:
    made = load_for_batches(save_network(tmp_path), 4)
    assert made(images(3)).shape == (3, 24)
    assert made(images(4)).shape == (4, 24)
    assert set(compiling.calls) == {4}


@pytest.mark.parametrize("precision", PRECISIONS)
def test_full_batches_that_do_not_fit_are_halved_as_the_model_loads(
    tmp_path: pathlib.Path, compiling: type[Compiling], precision: str
) -> None:
    model_dir = save_network(tmp_path)
    made = load_for_batches(model_dir, 16, precision)
    assert made.report.batch_size == 4
    compiling.calls.clear()
    outputs, errors = predict_isolating(made, images(9))
    assert (outputs.shape, errors, set(compiling.calls)) == ((9, 24), {}, {4})


def test_full_batches_that_stop_fitting_are_halved_and_cost_no_image(
    tmp_path: pathlib.Path, compiling: type[Compiling]
) -> None:
    compiling.memory_images = 32
    made = load_for_batches(save_network(tmp_path), 32)
    expected = made(images(5))
    for memory_images, count in ((20, 5), (10, 1), (1, 5)):
        compiling.memory_images = memory_images
        outputs, errors = predict_isolating(made, images(5)[:count])
        assert errors == {}
        np.testing.assert_allclose(outputs, expected[:count], rtol=1e-4, atol=1e-5)
        assert made.report.batch_size == {20: 16, 10: 8, 1: 1}[memory_images]
    compiling.memory_images = 0
    outputs, errors = predict_isolating(made, images(2))
    assert (len(outputs), list(errors)) == (0, [0, 1])


def test_memory_that_is_short_is_told_from_other_failures() -> None:
    def fail(kind: type[Exception]) -> Callable[[tf.Tensor], tf.Tensor]:
        def function(images: tf.Tensor) -> tf.Tensor:
            raise kind(None, None, "no\nroom")

        return function

    for raised, expected in (
        (tf.errors.ResourceExhaustedError, OutOfMemoryError),
        (tf.errors.InvalidArgumentError, InferenceError),
    ):
        with pytest.raises(InferenceError, match=r"^no room$") as caught:
            tensorflow_engine.run_function(fail(raised), images(1))
        assert type(caught.value) is expected


def test_the_batch_size_is_measured_on_the_first_batches(tmp_path: pathlib.Path) -> None:
    model_dir = save_network(tmp_path)
    spec = inspect_saved_model(model_dir)
    settings = EngineSettings(batch_size=32, tunes_batch_size=True)
    made = ImageModel(model_dir, spec, image_size=(24, 24), settings=settings)
    expected = load(model_dir)(images(32))
    assert made.report.batch_size is None
    for _ in range(8):
        np.testing.assert_allclose(made(images(32)), expected, rtol=1e-4, atol=1e-5)
    assert made.report.batch_size in (16, 32)
    np.testing.assert_allclose(made(images(32)), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_image_that_an_engine_fails_on_costs_only_itself(
    saved_model: SavedModel, engine: str
) -> None:
    pixels = images(5)
    pixels[3] = -1  # its answer is not finite
    made = load(saved_model("fails_beyond_one"), engine=engine)
    outputs, errors = predict_isolating(made, pixels)
    assert list(errors) == [3]
    assert outputs.shape == (4, 3)
