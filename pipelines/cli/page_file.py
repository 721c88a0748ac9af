"""The file that a program writes its page to."""

import os

from transforms.errors import FlagError, OutputError
from transforms.files.atomic_files import make_directory, write_whole
from transforms.files.new_directory import may_write
from transforms.files.uris import is_local
from transforms.runs.directory import absolute_output
from transforms.runs.record import PublishedRun

_SUFFIX = ".html"


def place_page(output: str, *runs: PublishedRun) -> str:
    """Returns where a page goes, before the work that fills it.

    Args:
        output: Name of the page, as the user gave it.
        runs: Runs that the page is about; it cannot be in one.

    Raises:
        FlagError: If it cannot, or must not be there.
    """
    if not output.lower().endswith(_SUFFIX):
        raise FlagError(f"--output {output}: wanted a name that ends in {_SUFFIX}")
    page = absolute_output(output)
    for run in runs:
        if page.startswith(f"{run.directory}/"):
            raise FlagError(f"--output {output} is in a run, which must stay as it was published")
    if is_local(page) and (os.path.isdir(page) or not may_write(os.path.dirname(page))):
        raise FlagError(f"--output {output}: wanted a file in a directory that can be written")
    return page


def write_page(path: str, html: str) -> int:
    """Writes a page whole, over an earlier one; returns its size in bytes.

    Raises:
        OutputError: If it cannot be written.
    """
    try:
        make_directory(os.path.dirname(path))
        return write_whole(path, html.encode()).size_bytes
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error}") from error
