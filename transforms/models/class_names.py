"""Class names: reads and writes a labels file, and fits it to a classifier's width."""

import ast
import csv
import io
import json
import re
from typing import BinaryIO

from transforms.errors import ImageError, ModelError
from transforms.files.file_systems import FileSystems
from transforms.files.web.copies import open_copy
from transforms.files.web.urls import is_web_uri, parse_url, without_query
from transforms.models.label_files import labels_within
from transforms.models.lfs_pointer import refuse_pointer_in

BACKGROUND = "background"
POSITIVE = "positive"
"""Name of the class of a model with one output, where no labels name it."""

MAX_LABELS_BYTES = 64 * 2**20
"""Largest labels file read; the longest known one (ImageNet-21k lemmas) is under 1 MB."""

_NUMBERED = re.compile(r"(\d{1,9})(?:: ?|[ \t]+)(\S.*)")


def check_labels_uri(uri: str) -> None:
    """Checks that a labels file on the web has a URL that can be one; asks no server.

    Raises:
        ModelError: If it has not.
    """
    try:
        if is_web_uri(uri):
            parse_url(uri)
    except ValueError as error:
        raise ModelError(f"--labels is no URL that can be read: {error}") from error


def read_labels(uri: str, *, allow_private_hosts: bool = False) -> tuple[str, ...]:
    """Reads class names in the order of the classifier's outputs.

    The file name says how:

    - `.csv` has a header with `id` and `name` (`display` is read past), or none and two columns;
    - `.json` holds a list, `{"0": "tench"}`, `{"tench": 0}`, Keras' imagenet_class_index.json,
      `{"0": ["n01440764", "tench"]}`, or is a file that `labels_within` knows;
    - anything else is text, one name a line, unless it is a dict literal in braces, as
      EfficientNet's labels_map.txt is. Where every line begins with a number of its own from 0 on,
      as Teachable Machine's do ("0 Class 1"), that is the class's.

    Args:
        uri: The file; any scheme that file_systems knows, or on the web.
        allow_private_hosts: Whether servers of the web may have addresses that are not public.

    Returns:
        The names. Two classes may share one: ImageNet has two each of "crane" and "maillot".

    Raises:
        ModelError: If the file cannot be read or understood, or its ids are not 0..N-1.
    """
    text = _read_text(uri, allow_private_hosts=allow_private_hosts)
    name = without_query(uri).lower()
    if name.endswith(".csv"):
        labels = _from_csv(text, uri)
    elif name.endswith(".json") or _is_literal(text):
        labels = _from_json(text, uri)
    else:
        labels = _from_lines(text)
    if labels in ((), ("",)):
        raise ModelError(f"no labels in {uri}: want one name for each class")
    return labels


def labels_as_text(labels: tuple[str, ...]) -> str:
    """Returns the content of a labels.txt, of which read_labels returns the same names.

    It has one name a line. Where these lines would be read as other names, it is a dict literal:

        ("cat", "dog")            cat
                                  dog
        ("0 left", "1 right")     {
                                  "0": "0 left",
                                  "1": "1 right"
                                  }

    Args:
        labels: Class names in the order of the classifier's outputs.
    """
    lines = "".join(f"{name}\n" for name in labels)
    read = lines.removeprefix("\ufeff")  # Taken for a byte order mark.
    if not _is_literal(read) and _from_lines(read) == labels:
        return lines
    return json.dumps(dict(enumerate(labels)), ensure_ascii=False, indent=0) + "\n"


def read_fitting_labels(
    uri: str | None, num_classes: int | None, *, allow_private_hosts: bool = False
) -> tuple[str, ...] | None:
    """Reads class names, and checks that they fit a model.

    Args:
        uri: The file that the user named, or that came with the model; None gives None.
        num_classes: Width of the model's output, or None where it is not declared.
        allow_private_hosts: As read_labels.

    Raises:
        ModelError: If they cannot be read, or do not fit the width.
    """
    if uri is None:
        return None
    names = read_labels(uri, allow_private_hosts=allow_private_hosts)
    if num_classes is not None:
        labels_for(names, num_classes)
    return names


def labels_for(labels: tuple[str, ...], num_classes: int) -> tuple[str, ...]:
    """Fits labels to a classifier's width, which may count a background class or not.

    One output is the class that positive_class says, of two labels the second.

    Args:
        labels: Class names as read.
        num_classes: Width of the classifier's output.

    Returns:
        num_classes names.

    Raises:
        ModelError: If the two differ, other than by ImageNet's background class.

    Source:
        ImageNetLabels.txt has 1001 lines of which line 0 is "background"; models with 1000 outputs
        leave it out (https://tfhub.dev/tensorflow/efficientnet/b0/classification/1).
    """
    if len(labels) == num_classes:
        return labels
    if (len(labels), num_classes) == (2, 1):
        return labels[1:]
    if (len(labels), num_classes) == (1001, 1000) and BACKGROUND in labels[0].lower():
        return labels[1:]
    if (len(labels), num_classes) == (1000, 1001) and BACKGROUND not in labels[0].lower():
        return (BACKGROUND, *labels)
    raise ModelError(
        f"{len(labels)} labels do not fit a model with {num_classes} outputs; name the labels file "
        f"of this model with --labels"
    )


def positive_class(labels: tuple[str, ...] | None) -> tuple[int, str]:
    """Returns the number and the name of the class that a model's one output is the score of.

    Of two labels it is the second: Keras numbers the folders "cat" and "dog" 0 and 1, and trains
    the output towards that number. Without labels it has that number too.

    Args:
        labels: Class names as read, one or two, or None.

    Source:
        label_mode="binary" of https://keras.io/api/data_loading/image/.
    """
    if labels is None:
        return 1, POSITIVE
    return len(labels) - 1, labels[-1]


def _read_text(uri: str, *, allow_private_hosts: bool) -> str:
    check_labels_uri(uri)
    try:
        with _open(uri, allow_private_hosts=allow_private_hosts) as file:
            content = file.read(MAX_LABELS_BYTES + 1)
    # Beam wraps a failed open in BeamIOError, an OSError; an unknown scheme is a ValueError.
    except (OSError, ValueError, ImageError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise ModelError(f"cannot read labels {uri}: {reason}") from error
    refuse_pointer_in(content, f"labels {uri} are")
    if len(content) > MAX_LABELS_BYTES:
        raise ModelError(f"labels {uri} exceed {MAX_LABELS_BYTES} bytes; is it a labels file?")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ModelError(f"labels {uri} are not UTF-8 text: {error}") from error


def _open(uri: str, *, allow_private_hosts: bool) -> BinaryIO:
    if is_web_uri(uri):
        return open_copy(uri, MAX_LABELS_BYTES, allow_private_hosts=allow_private_hosts)
    return FileSystems.open(uri)


def _is_literal(text: str) -> bool:
    return text.lstrip().startswith("{")


def _from_lines(text: str) -> tuple[str, ...]:
    # A class in between may be without a name; empty lines at the end are no classes.
    return _without_numbers([it.removesuffix("\r") for it in text.rstrip("\r\n").split("\n")])


def _without_numbers(lines: list[str]) -> tuple[str, ...]:
    """Takes "0 ", "1 ", ... or "0:", "1:", ... for the classes' numbers if all lines begin so."""
    found = [match for match in map(_NUMBERED.match, lines) if match]
    names = {int(match[1]): match[2] for match in found}
    if len(found) < len(lines) or sorted(names) != list(range(len(lines))):
        return tuple(lines)
    return tuple(names[number] for number in range(len(lines)))


def _from_csv(text: str, uri: str) -> tuple[str, ...]:
    first = next(csv.reader(io.StringIO(text)), [])
    if len(first) == 2 and first[0].strip().isdecimal():
        text = f"id,name\n{text}"
    rows = csv.DictReader(io.StringIO(text), strict=True)
    try:
        if not {"id", "name"} <= set(rows.fieldnames or ()):
            raise ModelError(f"labels {uri} have columns {rows.fieldnames}, want id and name")
        return _by_id([(row["id"], row["name"]) for row in rows], uri)
    except csv.Error as error:
        raise ModelError(f"labels {uri} are not CSV: {error}") from error


def _from_json(text: str, uri: str) -> tuple[str, ...]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        try:
            value = ast.literal_eval(text.strip())
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
            raise ModelError(
                f"labels {uri} are neither JSON nor a dict literal: {error}"
            ) from error
    within = labels_within(value)
    value = value if within is None else within
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return tuple(value)
    if not isinstance(value, dict):
        raise ModelError(f'labels {uri} are neither a list of names, {{"0": name}} nor {{name: 0}}')
    if all(isinstance(number, int) for number in value.values()):
        return _by_id([(number, name) for name, number in value.items()], uri)
    # Keras' imagenet_class_index.json has WordNet's number of a class before its name.
    if all(isinstance(pair, list) and len(pair) == 2 for pair in value.values()):
        value = {number: name for number, (_, name) in value.items()}
    return _by_id(list(value.items()), uri)


def _by_id(pairs: list[tuple[object, object]], uri: str) -> tuple[str, ...]:
    names: dict[int, str] = {}
    for key, name in pairs:
        try:
            number = int(str(key))
        except ValueError:
            raise ModelError(
                f"labels {uri} have the id {str(key)[:80]!r}, want an integer"
            ) from None
        if not isinstance(name, str):
            raise ModelError(f"labels {uri} give class {number} no name, got {str(name)[:80]!r}")
        if number in names:
            raise ModelError(f"labels {uri} give the id {number} twice")
        names[number] = name
    if sorted(names) != list(range(len(names))):
        missing = next(number for number in range(len(names)) if number not in names)
        raise ModelError(
            f"labels {uri} have {len(names)} ids of which none is {missing}, want 0..N-1"
        )
    return tuple(names[number] for number in range(len(names)))
