"""Beam's file systems: the one door through which all but the steps come to Beam.

A path is a local one or a URI of any scheme that a file system of Beam's is there for.
"""

from typing import BinaryIO

from apache_beam.io.filesystem import BeamIOError as BeamIOError
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystem import FileMetadata as FileMetadata
from apache_beam.io.filesystem import FileSystem as FileSystem
from apache_beam.io.filesystems import FileSystems as FileSystems


def open_as_stored(path: str) -> BinaryIO:
    """Opens a file to read its bytes as they are stored, never decompressed by its name.

    Raises:
        OSError: If it cannot be opened; BeamIOError is one.
        ValueError: If its scheme is unknown.
    """
    return FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)


def create_as_stored(path: str) -> BinaryIO:
    """Opens a file to write, never compressed by its name; an object is there once it is closed.

    Raises:
        OSError: If it cannot be written.
        ValueError: If its scheme is unknown.
    """
    return FileSystems.create(path, compression_type=CompressionTypes.UNCOMPRESSED)
