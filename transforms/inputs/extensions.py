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

_OTHERS = """
    txt text md rst json jsonl ndjson csv tsv xml yaml yml toml ini cfg conf html htm css js ts map
    py pyc ipynb c cc cpp h hpp java go rs sh bat proto pbtxt pb ckpt index h5 hdf5 keras onnx
    tflite pt pth safetensors npy npz pkl pickle mat arrow feather avro orc db sqlite lmdb mdb log
    pdf doc docx xls xlsx ppt pptx odt rtf 7z rar gz bz2 xz zst lz4 mp3 wav flac ogg m4a aac mp4
    m4v mov avi mkv webm mpg mpeg wmv mts xmp thm aae lrv srt vtt exe dll so jar class iso dmg tmp
    part crdownload bak lock md5 sha1 sha256 crc sfv torrent url lnk ttf otf woff woff2
"""
OTHER_EXTENSIONS = frozenset("." + name for name in _OTHERS.split())
"""Of files that neither are images nor hold any, so that nobody need look into them."""
