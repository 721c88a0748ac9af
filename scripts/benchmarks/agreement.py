"""Whether contenders compute the same vectors, so that nobody wins by computing something else."""

import pathlib
import sys

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from scripts.benchmarks.registry import Contender

MIN_COSINE = {"float32": 0.9999, "bfloat16": 0.999}


def read_vectors(output: pathlib.Path) -> dict[str, npt.NDArray[np.float32]]:
    """Returns each photo's vector, by file name."""
    vectors = {}
    for path in sorted(output.glob("*.parquet")):
        table = pq.read_table(path, columns=["uri", "embedding"])
        for uri, vector in zip(table["uri"].to_pylist(), table["embedding"], strict=True):
            vectors[uri.rpartition("/")[2]] = np.array(vector.as_py(), np.float32)
    return vectors


def smallest_cosine(output: pathlib.Path, reference: pathlib.Path) -> float:
    """Returns the cosine of the photo whose two vectors differ most."""
    ours, theirs = read_vectors(reference), read_vectors(output)
    if ours.keys() != theirs.keys():
        sys.exit(f"{output.name}: other photos than {reference.name} has")
    cosines = [
        float(mine @ theirs[name] / np.linalg.norm(mine) / np.linalg.norm(theirs[name]))
        for name, mine in ours.items()
    ]
    return min(cosines)


def check_agreement(
    name: str, contender: Contender, output: pathlib.Path, reference: pathlib.Path
) -> float:
    """Stops the benchmark if a contender's vectors are not the reference's; returns the cosine.

    Those whose vectors differ by design, which have no precision, are not held to any.
    """
    cosine = smallest_cosine(output, reference)
    wanted = -1.0 if contender.precision is None else MIN_COSINE[contender.precision]
    if not cosine >= wanted:  # Also if it is not a number.
        sys.exit(f"{name}: cosine to {reference.name} is {cosine:.6f}, wanted at least {wanted}")
    return cosine
