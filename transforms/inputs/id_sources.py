"""Where an image_id comes from, by the words of --image_id_from."""

IDS_FROM_NAMES = ("uri", "relative_path", "filename")
"""Values that stand for names; any other names a column, feature or field."""

ROW = "#row"
IDS_OF_ROWS = tuple(name + ROW for name in IDS_FROM_NAMES)
"""But these, of manifests: the same, with the place of a row among those of its image."""
