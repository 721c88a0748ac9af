"""The zeros behind the last member of a tar, told from those that a copy left which broke off.

Of a copy that stopped in a file that was made at its full size, and of a part of a disk that was
lost, zeros are left. Where the next member began there, they look like the mark that ends an
archive. That mark is two blocks of zeros, and more until the archive is a number of whole records:

    byte 20,480   the last member ends; 1,024 zeros, and 9,216 up to byte 30,720, three records
    byte 20,480   72,704 zeros up to byte 93,184: no records end there that are as large

Source: https://www.gnu.org/software/tar/manual/html_section/Blocking.html, "Blocking".
"""

MAX_PADDING_BYTES = 4 << 20
"""Of zeros that may follow the last member; tar itself fills records of 10 kB, tapes some of 1 MB.
A copy that stopped into a file that was made at its full size ends in as many as are missing.
"""

_MARK_BYTES = 1_024
_USUAL_RECORD = 10_240
_RECORDS = (_USUAL_RECORD, *(2**power for power in range(9, 23)))


class Padding:
    """Watches the zeros of a file, in which archives may follow one another.

    Attributes:
        hole: What is known of members that zeros took the place of; "" if there are none.
    """

    def __init__(self, start: int) -> None:
        """Begins.

        Args:
            start: Byte from which on the file is read.
        """
        self.hole = ""
        # Of a span that starts within an archive, only the first one's start is known.
        self._first, self._is_known = 0, start == 0

    def pass_over(self, end: int, start: int) -> None:
        """Notes the zeros, if any, from the end of a member to the start of the next."""
        if start == end:
            return
        if self._is_known and not _may_end_archive(start - end, start - self._first, _MARK_BYTES):
            self.hole = self.hole or f"zeros from byte {end} to {start} in the place of members"
        self._first, self._is_known = start, True

    def may_end(self, end: int, size_bytes: int) -> bool:
        """Tells whether the zeros from the end of the last member to the file's may be the mark."""
        # It may be cut in it, which loses nothing.
        return _may_end_archive(
            size_bytes - end, size_bytes - self._first, _USUAL_RECORD + _MARK_BYTES
        )


def _may_end_archive(zeros: int, size_bytes: int, always: int) -> bool:
    """Tells whether so many zeros may end an archive, which has size_bytes with them."""
    return zeros <= always or any(
        zeros < record + _MARK_BYTES and size_bytes % record == 0 for record in _RECORDS
    )
