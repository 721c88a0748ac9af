"""What the user may say of carried columns, and reading from remote stores: flags of RunConfig."""

from collections.abc import Sequence
from typing import Any

from pipelines.cli.flag import flag
from transforms.errors import FlagError
from transforms.files.read_limits import DEFAULT_READ_LIMITS


def carry_columns() -> Any:  # noqa: ANN401 - as flag
    """Describes --carry_columns."""
    return flag(
        "columns, fields, label=cat/ in paths, to copy; width=w renames one",
        "input",
        (),
        metavar="NAME",
        repeatable=True,
    )


def carried_names(carry_columns: Sequence[str]) -> dict[str, str]:
    """Returns the output's name of each carried column by the input's: {"width": "w", "n": "n"}.

    Args:
        carry_columns: Values of the flag, as "width=w" and "n"; the last = counts.
    """
    pairs = [name.rpartition("=") for name in carry_columns]
    return {before or after: after for before, _, after in pairs}


def check_carried(carry_columns: Sequence[str]) -> None:
    """Checks the values of --carry_columns.

    Raises:
        FlagError: If a name is there twice, among the input's or the output's, or is empty.
    """
    names = carried_names(carry_columns)
    given = " ".join(carry_columns)
    if not all(names.values()):
        raise FlagError(f"--carry_columns {given}: wanted NAME, or NAME=NAME_IN_THE_OUTPUT")
    if len(set(names.values())) < len(carry_columns):
        raise FlagError(f"--carry_columns names one twice: {given}")
    if len({name.lower() for name in names.values()}) < len(carry_columns):
        raise FlagError(
            f"--carry_columns {given}: names that differ only in case are one to SQL; "
            "NAME=OTHER_NAME carries NAME as OTHER_NAME"
        )


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
