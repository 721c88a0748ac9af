"""What the user may say of reading lists, and from remote stores: flags of RunConfig."""

from typing import Any

from pipelines.cli.flag import flag
from transforms.files.read_limits import DEFAULT_READ_LIMITS


def manifest() -> Any:  # noqa: ANN401 - as flag
    """Describes --manifest."""
    return flag(
        "image URIs: .txt, or column uri or url of .csv, .json, .parquet",
        "input",
        (),
        metavar="URI",
        repeatable=True,
    )


def uri_column() -> Any:  # noqa: ANN401 - as flag
    """Describes --uri_column."""
    return flag("the manifests' column of URIs, if it is another", "input", metavar="NAME")


def max_reads() -> Any:  # noqa: ANN401 - as flag
    """Describes --max_reads."""
    return flag(
        "remote reads at a time, in each process",
        "run",
        DEFAULT_READ_LIMITS.max_reads,
        read=int,
        metavar="N",
    )


def max_read_memory() -> Any:  # noqa: ANN401 - as flag
    """Describes --max_read_memory."""
    return flag(
        "bytes read ahead, in each process",
        "run",
        DEFAULT_READ_LIMITS.max_memory_bytes,
        read=int,
        metavar="N",
    )


def storage_timeout() -> Any:  # noqa: ANN401 - as flag
    """Describes --storage_timeout."""
    return flag(
        "remote images that take longer, all tries together, fail",
        "run",
        int(DEFAULT_READ_LIMITS.timeout_seconds),
        read=int,
        metavar="S",
    )
