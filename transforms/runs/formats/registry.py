"""The formats of data files, found by name or by the end of a file's name."""

import importlib
import os

from transforms.errors import CorruptRecordError
from transforms.runs.formats import FORMATS
from transforms.runs.formats.data_format import DataFormat


def format_named(name: str) -> DataFormat:
    """Returns the format of a name that is in FORMATS, such as "parquet"."""
    # By name, so that FORMATS can be read where nothing may be imported, as by --help.
    module = importlib.import_module(f"transforms.runs.formats.{name}")
    found: DataFormat = module.FORMAT
    return found


def format_of(path: str) -> DataFormat:
    """Returns the format of a data file: x/embeddings-00000-of-00001.parquet is Parquet.

    Raises:
        CorruptRecordError: If its name ends in that of no format.
    """
    name = os.path.splitext(path)[1].removeprefix(".")
    if name not in FORMATS:
        ends = " or ".join(f".{known}" for known in FORMATS)
        raise CorruptRecordError(f"{path} is no data file: wanted a name that ends in {ends}")
    return format_named(name)
