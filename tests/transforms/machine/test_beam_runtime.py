"""Beam as programs import it for a run on this machine."""

import subprocess
import sys

IMPORT = """
import sys
from transforms.machine.beam_runtime import import_beam_for_here
import_beam_for_here()
import apache_beam as beam
"""


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    assert not done.stderr
    return done.stdout


def test_what_no_local_run_calls_is_not_imported_and_beam_runs() -> None:
    run = """
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
pipeline = beam.Pipeline(runner=FnApiRunner())
pipeline | beam.Create([1, 2]) | beam.Map(lambda x: 2 * x) | beam.Map(print)
pipeline.run()
clients = {'google.cloud.storage', 'google.cloud.bigquery', 'boto3', 'azure.storage.blob'}
print(sys.modules.keys() & {*clients, 'google.cloud.dataflow', 'apitools', 'pandas'})
"""
    assert run_python(IMPORT + run) == "2\n4\nset()\n"


def test_what_was_hidden_is_found_afterwards() -> None:
    use = """
import pandas
from apache_beam.io.gcp.bigquery import ReadFromBigQuery
from apache_beam.io.gcp.gcsfilesystem import GCSFileSystem
from apache_beam.io.filesystems import FileSystems
print(FileSystems.join('gs://bucket', 'a'), ReadFromBigQuery.__name__)
"""
    assert run_python(IMPORT + use) == "gs://bucket/a ReadFromBigQuery\n"


def test_beam_that_is_loaded_already_stays_whole() -> None:
    use = "import apache_beam\n" + IMPORT + "print(beam.io.ReadFromBigQuery.__name__)"
    assert run_python(use) == "ReadFromBigQuery\n"
