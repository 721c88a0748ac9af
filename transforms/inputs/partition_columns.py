"""Columns in the names of directories, as Hive, Spark and Arrow divide a table by its values.

    /data/label=cat/year=2019/a.jpg          label: cat   year: 2019
    /data/label=sea%2Flake/b.jpg             label: sea/lake
    /data/label=__HIVE_DEFAULT_PARTITION__/c.jpg    label: null

Source: Spark 3.5, ExternalCatalogUtils (escapePathName, DEFAULT_PARTITION_NAME).
"""

from urllib.parse import unquote

import pyarrow as pa

NULL = "__HIVE_DEFAULT_PARTITION__"
"""Value that stands for none."""


def partition_values(uri: str) -> dict[str, str | None]:
    """Returns the values in the names of the directories that a file is in, the deepest of each."""
    if "=" not in uri:
        return {}
    named = (part.partition("=") for part in uri.split("/")[:-1] if "=" in part)
    return {unquote(name): None if value == NULL else unquote(value) for name, _, value in named}


def carried_values(uri: str, carried: pa.Schema) -> tuple[str | None, ...]:
    """Returns a listed image's values of the carried columns; () if it has none.

    Args:
        uri: The image.
        carried: Schema of the columns. Only one of strings is filled: names of directories have no
            other type.
    """
    found = partition_values(uri) if carried.names else {}
    if not found:
        return ()
    texts = {field.name for field in carried if pa.types.is_string(field.type)}
    if texts.isdisjoint(found):
        return ()
    return tuple(found.get(name) if name in texts else None for name in carried.names)
