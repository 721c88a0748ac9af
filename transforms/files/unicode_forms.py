"""Names of local files that Unicode writes in two ways, and Linux takes for two."""

import os
import unicodedata


def in_form_on_disk(path: str) -> str | None:
    r"""Finds a file whose name is written in another form of Unicode; None if there is none.

    Files that come from a Mac often have their accents apart (NFD), and lists of them put together
    (NFC). Each part of a path may be in either:

        given      /photos/Jos\u00e9/caf\u00e9.jpg
        on disk    /photos/Jos\u00e9/cafe\u0301.jpg

    Args:
        path: Absolute path that is not there as it is written.

    Source: Unicode Standard Annex #15, Unicode Normalization Forms.
    """
    if path.isascii():
        return None
    found = ""
    for part in path.split("/")[1:]:
        forms = (part, *(unicodedata.normalize(form, part) for form in ("NFC", "NFD")))
        paths = (f"{found}/{form}" for form in dict.fromkeys(forms))
        is_told = part.isascii()
        there = next((each for each in paths if is_told or os.path.lexists(each)), None)
        if there is None:
            return None
        found = there
    return found if found != path else None
