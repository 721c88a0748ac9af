import pathlib

import pytest

from tests.support.web import Answer, run_web
from transforms.errors import ModelError
from transforms.files.web.storage import web_storage
from transforms.models.class_names import labels_as_text, labels_for, read_labels

IMAGENET = tuple(f"class {number}" for number in range(1000))


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("labels.txt", "tench\ngoldfish\n", ("tench", "goldfish")),
        ("labels.txt", "tench\ngoldfish", ("tench", "goldfish")),
        ("labels.txt", "tench\r\ngoldfish\r\n", ("tench", "goldfish")),
        ("labels.txt", "tench\n\ngoldfish\n", ("tench", "", "goldfish")),
        ("labels.txt", "tench\r\ngoldfish\r\n\r\n\n", ("tench", "goldfish")),
        ("labels.txt", "crane\ncrane\n", ("crane", "crane")),
        ("labels.txt", "tench, Tinca tinca\n", ("tench, Tinca tinca",)),
        ("labels.txt", "\ufeffécureuil\n", ("écureuil",)),
        ("LABELS", "one\n", ("one",)),
        ("map.csv", "id,name\n1,goldfish\n0,tench\n", ("tench", "goldfish")),
        ("map.csv", 'id,name,display\n0,"a, b",A\n', ("a, b",)),
        ("map.json", '{"0": "tench", "1": "goldfish"}', ("tench", "goldfish")),
        ("map.json", '{"goldfish": 1, "tench": 0}', ("tench", "goldfish")),
        ("map.json", '["tench", "goldfish"]', ("tench", "goldfish")),
        ("labels_map.txt", '{"0": "tench"}', ("tench",)),
        ("labels.txt", "0 Class 1\n1 Class 2\n", ("Class 1", "Class 2")),
        ("labels.txt", "0  background\n1  tench\n", ("background", "tench")),
        ("labels.txt", "0:tench\n1: shark\n", ("tench", "shark")),
        ("labels.txt", "0\ttench\r\n1\tshark\r\n", ("tench", "shark")),
        ("labels.txt", "1 shark\n0 tench\n", ("tench", "shark")),
        ("labels.txt", "0 tench\n0 shark\n", ("0 tench", "0 shark")),
        ("labels.txt", "1 Euro\n2 Euro\n", ("1 Euro", "2 Euro")),
        ("labels.txt", "0 tench\nshark\n", ("0 tench", "shark")),
        ("labels.txt", "0\n1\n2\n", ("0", "1", "2")),
        ("map.csv", "0,tench\n1,shark\n", ("tench", "shark")),
        ("map.csv", '1,"a, b"\n0,c\n', ("c", "a, b")),
        ("signature.json", '{"classes": {"Label": ["Apple", "Orange"]}}', ("Apple", "Orange")),
        (
            "config.json",
            '{"id2label": {"0": "cat", "1": "dog"}, "label2id": {"cat": 0, "dog": 1}}',
            ("cat", "dog"),
        ),
        (
            "imagenet_class_index.json",
            '{"0": ["n01440764", "tench"], "1": ["n01443537", "goldfish"]}',
            ("tench", "goldfish"),
        ),
        ("labels_map.txt", "{0: 'tench',\n 1: \"goldfish\"}\n", ("tench", "goldfish")),
    ],
)
def test_labels_are_read_in_the_order_of_their_ids(
    tmp_path: pathlib.Path, name: str, content: str, expected: tuple[str, ...]
) -> None:
    (tmp_path / name).write_bytes(content.encode())
    assert read_labels(str(tmp_path / name)) == expected


NUMBERED = tuple(sorted(f"{number} class" for number in range(11)))


@pytest.mark.parametrize(
    "labels",
    [
        ("cat", "dog"),
        ("0", "1"),
        ("1 Euro", "2 Euro"),
        ("crane", "", "crane"),
        NUMBERED,  # Folders "0 class" to "10 class", by letter.
        ("0 left", "1 right"),
        ("0:left", "1:right"),
        ("{cat}", "{dog}"),
        (" {cat", "dog"),
        ("\ufeffcat", "dog"),
        ("cat", ""),
        ("two\nlines", "carriage\r"),
        ('"a", \\b', "écureuil"),
    ],
)
def test_written_labels_are_read_unchanged(tmp_path: pathlib.Path, labels: tuple[str, ...]) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(labels_as_text(labels).encode())
    assert read_labels(str(path)) == labels


def test_labels_are_written_one_a_line_where_that_is_read_unchanged() -> None:
    assert labels_as_text(("cat", "2 dogs", "")) == '{\n"0": "cat",\n"1": "2 dogs",\n"2": ""\n}\n'
    assert labels_as_text(("cat", "2 dogs")) == "cat\n2 dogs\n"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("labels.txt", b"", "no labels"),
        ("labels.txt", b"\xff\xfe\x00", "not UTF-8"),
        ("labels.txt", b"version https://git-lfs.github.com/spec/v1\noid 1\n", "Git LFS pointer"),
        ("map.csv", b"index,label\n0,tench\n", r"columns \['index', 'label'\], want id and name"),
        ("map.csv", b"id,name\n0,tench\n2,shark\n", "none is 1"),
        ("map.csv", b"id,name\n0,tench\n0,shark\n", "the id 0 twice"),
        ("map.csv", b"id,name\n0\n", "give class 0 no name"),
        ("map.csv", b"id,name\nn01440764,tench\n", "the id 'n01440764', want an integer"),
        ("map.csv", b"", "columns None"),
        ("map.json", b"{", "neither JSON nor a dict literal"),
        ("map.json", b'{"1": "tench"}', "none is 0"),
        ("map.json", b'{"0": ["n01440764", 1, "tench"]}', "give class 0 no name"),
        ("map.csv", b"0,tench\nshark,2\n", "the id 'shark', want an integer"),
        ("config.json", b'{"id2label": {"1": "tench"}}', "none is 0"),
        ("map.json", b'"tench"', "neither a list"),
        ("map.json", b"[]", "no labels"),
        ("map.txt", b"{[]: 1}", "neither JSON nor a dict literal"),
        ("map.txt", b"{__import__('os').getcwd(): 0}", "neither JSON nor a dict literal"),
    ],
)
def test_a_file_that_is_no_labels_file_is_a_model_error(
    tmp_path: pathlib.Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=message):
        read_labels(str(tmp_path / name))


@pytest.mark.parametrize("uri", ["no/such/labels.txt", "nosuchscheme://labels.txt"])
def test_labels_that_cannot_be_opened_are_a_model_error(uri: str) -> None:
    with pytest.raises(ModelError, match="cannot read labels"):
        read_labels(uri)


@pytest.mark.parametrize(
    ("labels", "num_classes", "expected"),
    [
        (("a", "b"), 2, ("a", "b")),
        (("a", "b"), 1, ("b",)),
        (("b",), 1, ("b",)),
        (("background", *IMAGENET), 1001, ("background", *IMAGENET)),
        (("background", *IMAGENET), 1000, IMAGENET),
        (IMAGENET, 1001, ("background", *IMAGENET)),
    ],
)
def test_labels_fit_with_or_without_imagenets_background(
    labels: tuple[str, ...], num_classes: int, expected: tuple[str, ...]
) -> None:
    assert labels_for(labels, num_classes) == expected


@pytest.mark.parametrize(
    ("labels", "num_classes"),
    [
        (("a", "b"), 3),
        (("background", "a", "b"), 2),  # the rule is for ImageNet's two widths only
        ((*IMAGENET, "Footer"), 1000),  # a copy with junk at its end, not at its start
        (("background", *IMAGENET[1:]), 1001),
        (IMAGENET, 512),
    ],
)
def test_labels_that_fit_no_rule_are_a_model_error(
    labels: tuple[str, ...], num_classes: int
) -> None:
    with pytest.raises(ModelError, match=f"{len(labels)} labels do not fit .* --labels"):
        labels_for(labels, num_classes)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Answer(status=404), "cannot read labels http.*: the server answers 404 not found"),
        (Answer(b"a", headers={"Content-Length": "99999999"}), "more bytes than the 67,108,864"),
        (Answer(b"a\xff"), "are not UTF-8 text"),
    ],
)
def test_labels_of_the_web_that_cannot_be_read_are_refused(answer: Answer, message: str) -> None:
    with run_web() as web:
        with pytest.raises(ModelError, match=message):
            read_labels(web.put("/labels.txt", answer), allow_private_hosts=True)
        web_storage(allow_private_hosts=True).close()


def test_labels_of_the_web_are_read_from_public_addresses() -> None:
    with run_web() as web:
        uri = web.put("/map.csv?v=1", b"id,name\n0,tench\n")
        with pytest.raises(ModelError, match="is no public address"):
            read_labels(uri)
        assert web.server.requests == []
        assert read_labels(uri, allow_private_hosts=True) == ("tench",)
        web_storage(allow_private_hosts=True).close()
    with pytest.raises(ModelError, match=r"--labels is no URL that can be read: .* credentials"):
        read_labels("https://me:secret@a.invalid/labels.txt")
