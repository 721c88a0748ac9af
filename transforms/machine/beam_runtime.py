"""How Beam is imported where a run stays on this machine: without the clouds' clients."""

import importlib

from transforms.machine.garbage import importing
from transforms.machine.hidden_modules import hidden_modules

_NOT_CALLED = (
    "apache_beam.io.gcp.bigquery",
    "apache_beam.io.gcp.gcsfilesystem",
    "apache_beam.io.aws.s3filesystem",
    "apache_beam.io.azure.blobstoragefilesystem",
    "google.cloud.dataflow",
    # Errors of Google's that Beam tries again.
    "apitools",
    # Types of columns.
    "pandas",
)
"""Modules that `import apache_beam` asks for, and passes over where they are not installed: Beam
without its extras [gcp], [aws], [azure] and [dataframe]. (apache_beam/io/__init__.py,
io/filesystems.py, runners/dataflow/dataflow_runner.py, utils/retry.py and typehints/__init__.py of
2.77)"""


def import_beam_for_here() -> None:
    """Imports Beam in under half of the time: for a process that is one run on this machine.

    Google's, Amazon's and Azure's clients are two thirds of what Beam imports, and only its own
    runner of Dataflow, sources and file systems call them; stores of objects are ours. Without
    them beam.io has no ReadFromBigQuery. So this is for programs, not for what is called by others'
    code.
    """
    with importing(), hidden_modules(*_NOT_CALLED):
        importlib.import_module("apache_beam")
