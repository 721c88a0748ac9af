"""The pipeline, run as a user runs it."""

import contextlib
import io
import pathlib


def run(photos: pathlib.Path, model_dir: pathlib.Path, output: pathlib.Path, **flags: str) -> None:
    """Runs pipelines.embed in this process.

    Args:
        photos: Directory of photos.
        model_dir: Directory of the SavedModel.
        output: An empty directory.
        **flags: Values of more flags. None are given for TensorFlow in float32, which is what the
            pipeline does without any.
    """
    from pipelines import embed

    argv = ["--input", str(photos), "--model", str(model_dir), "--output", str(output)]
    if flags != {"engine": "tensorflow", "precision": "float32"}:
        argv += [word for name, value in flags.items() for word in (f"--{name}", value)]
    with contextlib.redirect_stdout(io.StringIO()):
        code = embed.main(argv)
    if code:
        raise SystemExit(code)
