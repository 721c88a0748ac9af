"""docs/input_kinds.md: each kind of input names a test that is there."""

from tests.support.places import ROOT, named_places, why_absent

PAGE = ROOT / "docs" / "input_kinds.md"


def test_every_kind_names_a_test_that_is_there() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    kinds = [row for row in rows if not row.startswith("| kind |")]
    assert len(kinds) >= 60
    for row in kinds:
        (*_, (path, name)) = named_places(row)
        assert path.startswith("tests/"), row
        assert name is not None, row
        assert name.startswith("test_"), row
        assert why_absent(path, name) is None, row


def test_no_kind_is_there_twice() -> None:
    rows = [line.split("|")[1] for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    kinds = [kind for kind in rows if kind.strip() != "kind"]
    assert len(kinds) == len(set(kinds))
