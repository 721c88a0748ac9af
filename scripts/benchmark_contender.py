"""One contender in a process of its own: warms up, works, prints what it took as JSON.

Every contender first embeds a few images, untimed, then the same few again, then all of them; each
of the three is a whole run that loads its model and writes its files anew.
"""

import contextlib
import functools
import io
import json
import os
import pathlib
import resource
import shutil
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

BATCH_SIZE = 32


def run_pipeline(photos: pathlib.Path, model_dir: pathlib.Path, output: pathlib.Path) -> None:
    """Runs pipelines.embed as a user does, with its default flags."""
    from pipelines import embed

    argv = ["--input", str(photos), "--model", str(model_dir), "--output", str(output)]
    with contextlib.redirect_stdout(io.StringIO()):
        code = embed.main(argv)
    if code:
        raise SystemExit(code)


def run_pipeline_with_dofn(
    photos: pathlib.Path, model_dir: pathlib.Path, output: pathlib.Path
) -> None:
    """Runs the same pipeline with a plain DoFn in RunInference's place."""
    from benchmark_dofn import RunModel

    from pipelines import graph

    graph.RunInference = RunModel
    run_pipeline(photos, model_dir, output)


def run_tf_data(photos: pathlib.Path, model_dir: pathlib.Path, output: pathlib.Path) -> None:
    """Runs a tf.data loop."""
    import benchmark_peers

    benchmark_peers.run_tf_data(photos, model_dir, output)


def run_beam_per_image(photos: pathlib.Path, model_dir: pathlib.Path, output: pathlib.Path) -> None:
    """Runs Beam's RunInference with an image as the element."""
    import benchmark_peers

    benchmark_peers.run_beam_per_image(photos, model_dir, output)


def run_model_alone(photos: pathlib.Path, model_dir: pathlib.Path, output: pathlib.Path) -> None:
    """Calls the model, which is loaded once, on a batch that is ready; reads no photo."""
    import numpy as np

    model = _load_model(str(model_dir))
    pixels = np.random.default_rng(0).random((BATCH_SIZE, 224, 224, 3), np.float32)
    left = len(os.listdir(photos))
    while left > 0:
        model(pixels[:left])
        left -= BATCH_SIZE


@functools.cache
def _load_model(model_dir: str):  # noqa: ANN202
    from transforms.model import ImageModel
    from transforms.saved_model import inspect_saved_model

    return ImageModel(model_dir, inspect_saved_model(model_dir), image_size=(224, 224))


CONTENDERS = {
    "pipeline": run_pipeline,
    "pipeline_with_dofn": run_pipeline_with_dofn,
    "tf_data": run_tf_data,
    "beam_per_image": run_beam_per_image,
    "model_alone": run_model_alone,
}


def count_rows(output: pathlib.Path) -> int:
    """Counts what was written."""
    import pyarrow.parquet as pq

    return sum(pq.read_metadata(path).num_rows for path in output.glob("*.parquet"))


def main(name: str, few: pathlib.Path, photos: pathlib.Path, model: pathlib.Path) -> None:
    """Runs a contender three times and prints its figures."""
    run = CONTENDERS[name]
    wall, cpu = [], []
    for number, directory in enumerate((few, few, photos)):
        output = model.parent / f"output-{os.getpid()}-{number}"
        output.mkdir()
        started, cpu_started = time.perf_counter(), time.process_time()
        run(directory, model, output)
        wall.append(time.perf_counter() - started)
        cpu.append(time.process_time() - cpu_started)
        images = len(os.listdir(directory))
        if run is not run_model_alone and (rows := count_rows(output)) != images:
            raise SystemExit(f"{name}: {images} images in, {rows} rows out")
        shutil.rmtree(output)
    more = images - len(os.listdir(few))
    figures = {
        "images_per_second": images / wall[2],
        # What a run costs whatever its size cancels out.
        "steady_images_per_second": more / (wall[2] - wall[1]),
        "cpu_milliseconds_per_image": 1000 * (cpu[2] - cpu[1]) / more,
        "cores": cpu[2] / wall[2],
        "fixed_seconds": wall[1] - (images - more) * (wall[2] - wall[1]) / more,
        # In kB on Linux, bytes on macOS.
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        * (1 if sys.platform == "darwin" else 1024),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1], *(pathlib.Path(argument) for argument in sys.argv[2:]))
