"""Says in words what bytes are that are no supported image, from how they begin."""

LFS_POINTER = b"version https://git-lfs"
"""Beginning of what Git LFS leaves in place of a file."""

_STARTS = (
    (b"\xff\xd8", "a JPEG image with damaged first bytes"),
    (b"\x89PNG", "a PNG image with damaged first bytes"),
    (b"icns", "an ICNS icon"),
    (b"BLP1", "a BLP texture"),
    (b"BLP2", "a BLP texture"),
    (b"DDS ", "a DDS texture"),
    (b"gimp xcf", "a GIMP drawing"),
    (b"\x76\x2f\x31\x01", "an OpenEXR image"),
    (b"SIMPLE  =", "a FITS image"),
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript document"),
    (b"\x1f\x8b", "a gzip file"),
    (b"PK\x03\x04", "a zip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"RIFF", "a RIFF sound or film"),
    (b"\x1aE\xdf\xa3", "a Matroska or WebM film"),
    (LFS_POINTER, "a Git LFS pointer, not the file itself"),
)
_FLI = (b"\x11\xaf", b"\x12\xaf")
_FLOATS = (b"PF\n", b"Pf\n")
_TEXT = (
    (b"<svg", "an SVG drawing"),
    (b"<!doctype html", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"<?xml", "an XML document"),
    (b"{", "JSON text"),
)


def describe(data: bytes) -> str:
    """Describes a file by its first bytes, as in "looks like a PDF document"."""
    if not data:
        return "the file is empty"
    if not data[:4096].strip(b"\x00"):
        return "the file is all zero bytes"
    name = _name(data)
    return f"looks like {name}" if name else f"begins with bytes {data[:12].hex(' ')}"


def _name(data: bytes) -> str | None:
    for start, name in _STARTS:
        if data.startswith(start):
            return name
    if data[4:8] == b"ftyp":
        return "an MP4 or QuickTime film"
    if data[4:6] in _FLI:
        return "an FLI animation"
    if data.startswith(b"P7\n"):
        return "a PAM image"
    if data.startswith(_FLOATS):
        return "a PFM image of floating-point samples, which are measurements"
    # XML documents say what they are after comments and a document type.
    text = data[:1024].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<?xml", b"<!--", b"<!doctype svg")) and b"<svg" in text:
        return "an SVG drawing"
    return next((name for start, name in _TEXT if text.startswith(start)), None)
