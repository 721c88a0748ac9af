"""The extensions by which an image is known among other files."""

# More than can be decoded: a photo in a format that cannot is a failure to report, not a file to
# overlook.
_NAMES = """
    jpg jpeg jpe jfif jif png apng gif bmp dib webp tif tiff avif avifs heic heif hif jp2 j2k
    j2c jpc jpf jpx jxl jxr ico cur icns ppm pgm pbm pnm pam pfm tga icb vda vst psd psb svg
    svgz eps pcx dcx xbm xpm sgi rgb rgba bw ras fli flc blp dds exr hdr msp mpo qoi wbmp wmf
    emf cr2 cr3 crw nef nrw arw srf sr2 dng raf orf rw2 pef srw x3f 3fr erf kdc mrw rwl
"""
IMAGE_EXTENSIONS = frozenset("." + name for name in _NAMES.split())
"""In lower case, with the dot."""
