"""One thing that is wrong with a published run."""

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One line of a verification.

    Attributes:
        file: The file's name within the run.
        what: Name of what is wrong with the file, such as "columns".
        got: Text of what is there.
        wanted: Text of what should be there.
    """

    file: str
    what: str
    got: str
    wanted: str

    def __str__(self) -> str:
        """The line, without the run."""
        return f"{self.file}: {self.what}, got {self.got}, wanted {self.wanted}"
