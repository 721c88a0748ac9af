"""Times decoders in one process, in turn.

usage: python -m scripts.benchmarks.decode ROUNDS DIRECTORY...

The formula as it is written, called for image after image; the same compiled to one graph a batch;
the pipeline's default, and --decode fast. One image at a time and in batches of 8. Prints a table
for each directory of photos.
"""

import os
import pathlib
import statistics
import sys
import time
from collections.abc import Callable, Sequence

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from scripts.benchmarks.tables import print_head, print_row, ratios_of, spread
from transforms.images.policy import Preprocessing
from transforms.images.preprocessor import Preprocessor

SIDE = 224
BATCH_SIZES = (1, 8)
MAX_PIXEL_DIFFERENCE = 1e-6
WANTED = {"default": "at least 2", "fast": "at least 4"}
"""Of photos of 12 megapixels."""

Pixels = npt.NDArray[np.float32]
Decoder = Callable[[Sequence[bytes]], Pixels]


def decode_literally(image: tf.Tensor) -> tf.Tensor:
    """Does what the formula says: decode, convert, resize."""
    decoded = tf.io.decode_image(image, channels=3, expand_animations=False)
    decoded.set_shape([None, None, 3])
    return tf.image.resize(tf.image.convert_image_dtype(decoded, tf.float32), [SIDE, SIDE])


@tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
def decode_in_graph(encoded: tf.Tensor) -> tf.Tensor:
    """Does the same in a graph, as many images at a time as there are cores."""
    pixels = tf.TensorSpec([SIDE, SIDE, 3], tf.float32)
    return tf.map_fn(
        decode_literally,
        encoded,
        fn_output_signature=pixels,
        parallel_iterations=os.cpu_count() or 1,
    )


def make_decoders() -> dict[str, Decoder]:
    """Returns the decoders by name."""
    default, fast = (
        Preprocessor(Preprocessing(image_size=(SIDE, SIDE), decode=decode))
        for decode in ("exact", "fast")
    )
    return {
        "literal": lambda encoded: np.stack([decode_literally(image) for image in encoded]),
        "literal in a graph": lambda encoded: decode_in_graph(tf.constant(encoded)).numpy(),
        "default": lambda encoded: default(encoded).pixels,
        "fast": lambda encoded: fast(encoded).pixels,
    }


def time_decoder(
    decoder: Decoder, encoded: Sequence[bytes], batch_size: int
) -> tuple[float, float]:
    """Returns milliseconds an image: of wall time and of processor time."""
    started = time.perf_counter(), time.process_time()
    for start in range(0, len(encoded), batch_size):
        decoder(encoded[start : start + batch_size])
    ended = time.perf_counter(), time.process_time()
    wall, cpu = (1000 * (b - a) / len(encoded) for a, b in zip(started, ended, strict=True))
    return wall, cpu


def measure(directory: pathlib.Path, decoders: dict[str, Decoder], rounds: int) -> None:
    """Prints the table of one directory of photos."""
    encoded = [path.read_bytes() for path in sorted(directory.iterdir())]
    pixels = {name: decoder(encoded) for name, decoder in decoders.items()}  # Warms up, too.
    photos = directory.parent.name
    print(f"\n## {len(encoded)} {photos} photos of {_mean_size(encoded)}")
    print_head(
        (
            "decoder",
            "batch",
            "ms an image",
            "CPU ms an image",
            "times as fast as literal",
            "the same in CPU",
            "wanted",
        )
    )
    names = list(decoders)
    for batch_size in BATCH_SIZES:
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
        for number in range(rounds):
            first = number % len(names)
            for name in [*names[first:], *names[:first]]:
                times[name].append(time_decoder(decoders[name], encoded, batch_size))
        literal_wall, literal_cpu = zip(*times["literal"], strict=True)
        for name in names:
            wall, cpu = zip(*times[name], strict=True)
            print_row(
                (
                    name,
                    batch_size,
                    spread(wall),
                    spread(cpu),
                    spread(ratios_of(literal_wall, wall)),
                    spread(ratios_of(literal_cpu, cpu)),
                    WANTED.get(name, "") if photos != "small" else "",
                )
            )
    for name in names[1:]:
        difference = np.abs(pixels[name] - pixels["literal"])
        limit = f", wanted at most {MAX_PIXEL_DIFFERENCE}" if name == "default" else ""
        print(
            f"\n{name} differs from literal by {difference.max():.2g} at most{limit}, "
            f"{difference.mean():.2g} in the mean"
        )


def _mean_size(encoded: Sequence[bytes]) -> str:
    return f"{statistics.mean(map(len, encoded)) / 1e6:.2f} MB"


if __name__ == "__main__":
    for directory in sys.argv[2:]:
        measure(pathlib.Path(directory), make_decoders(), int(sys.argv[1]))
