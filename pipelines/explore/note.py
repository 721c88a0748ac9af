"""What the reader of a page should know first: a few words, and where there is more."""

from typing import NamedTuple


class Note(NamedTuple):
    """Something that the reader should know.

    Attributes:
        text: Words for it, few enough to stand beside others.
        section: The id of the section that has more on it.
        is_bad: Whether something is probably wrong.
        advice: What it means, or what to do; may be empty.
    """

    text: str
    section: str
    is_bad: bool = False
    advice: str = ""

    @property
    def sentence(self) -> str:
        """All of it, for a terminal."""
        return f"{self.text}: {self.advice}" if self.advice else self.text
