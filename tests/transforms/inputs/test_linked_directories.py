"""What links of a directory lead to, and where they lead in circles."""

import os
import pathlib

import pytest

from transforms.inputs.entries import ImageFile, Skipped, Unlisted
from transforms.inputs.listing import classify_inputs, list_source


def make(folder: pathlib.Path, *names: str, **links: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"123")
    for name, target in links.items():
        link = folder / name.replace("__", "/")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)


def found_in(
    folder: pathlib.Path, pattern: str = "", *globs: str, follows_links: bool = True
) -> dict[str, str]:
    """Lists an input as name -> "image" or why it is left out."""
    (source,) = classify_inputs(f"{folder}/{pattern}", excluded=globs, follows_links=follows_links)
    found = {}
    for listed in list_source(source):
        name = os.path.relpath(listed.uri, folder)
        assert name not in found, f"{name} is listed twice"
        assert isinstance(listed, ImageFile | Skipped | Unlisted)
        found[name] = "image" if isinstance(listed, ImageFile) else listed.reason
    return found


def test_links_to_files_are_followed_and_links_to_directories_if_asked_for(
    tmp_path: pathlib.Path,
) -> None:
    make(tmp_path / "far", "a.jpg", "sub/b.jpg")
    make(tmp_path / "in", "c.jpg", d="../far", e="../far", x__l="../../far/sub")
    (tmp_path / "in" / "f.jpg").symlink_to("../far/a.jpg")
    own = {"c.jpg": "image", "f.jpg": "image"}
    linked = ("d", "e", "x/l")
    assert found_in(tmp_path / "in", follows_links=False) == {
        **own, **dict.fromkeys(linked, "linked directory"),
    }  # fmt: skip
    followed = {
        "d/a.jpg", "d/sub/b.jpg", "e/a.jpg", "e/sub/b.jpg", "x/l/b.jpg",
    }  # fmt: skip
    assert found_in(tmp_path / "in") == own | dict.fromkeys(followed, "image")
    assert found_in(tmp_path / "in", "*/*.jpg").keys() == {"d/a.jpg", "e/a.jpg"}
    assert found_in(tmp_path / "in", "**/b.jpg").keys() == {n for n in followed if "b" in n}
    assert found_in(tmp_path / "in", "", "d", "sub/") == {
        **own, "d": "excluded", "e/a.jpg": "image", "e/sub": "excluded", "x/l/b.jpg": "image",
    }  # fmt: skip


def test_a_directory_that_is_named_may_be_a_link(tmp_path: pathlib.Path) -> None:
    make(tmp_path, "far/a.jpg", link="far")
    for follows_links in (False, True):
        found = found_in(tmp_path, "link", follows_links=follows_links)
        assert found == {"link/a.jpg": "image"}


@pytest.mark.parametrize("target", [".", "..", "../..", "../../../tree"])
def test_a_link_to_a_directory_that_it_is_in_is_not_followed(
    tmp_path: pathlib.Path, target: str
) -> None:
    make(tmp_path / "tree", "a/b/x.jpg", "y.jpg", a__b__back=target)
    found = found_in(tmp_path / "tree")
    assert found == {"y.jpg": "image", "a/b/x.jpg": "image", "a/b/back": "loop of links"}


def test_links_that_lead_to_each_other_end(tmp_path: pathlib.Path) -> None:
    make(tmp_path, "a/x.jpg", "b/y.jpg", a__to_b="../b", b__to_a="../a")
    assert found_in(tmp_path) == {
        "a/x.jpg": "image",
        "a/to_b/y.jpg": "image",
        "a/to_b/to_a": "loop of links",
        "b/y.jpg": "image",
        "b/to_a/x.jpg": "image",
        "b/to_a/to_b": "loop of links",
    }


def test_a_link_to_above_the_root_gives_what_is_beside_it(tmp_path: pathlib.Path) -> None:
    make(tmp_path / "home", "photos/a.jpg", "other/b.jpg", photos__up="..")
    assert found_in(tmp_path / "home" / "photos") == {
        "a.jpg": "image",
        "up/other/b.jpg": "image",
        "up/photos": "loop of links",
    }


def test_a_linked_directory_that_cannot_be_listed_is_a_failure(tmp_path: pathlib.Path) -> None:
    make(tmp_path, "far/a.jpg", "in/b.jpg", in__l="../far", in__gone="../nowhere")
    (tmp_path / "far").chmod(0)
    found = found_in(tmp_path / "in")
    (tmp_path / "far").chmod(0o700)
    nowhere = "a link that leads nowhere"
    assert found == {"b.jpg": "image", "l": "permission denied", "gone": nowhere}


def test_a_link_that_leads_nowhere_may_have_led_to_a_directory(tmp_path: pathlib.Path) -> None:
    links = dict.fromkeys(["in__gone", "in__.lock", "in__x.jpg", "in__notes.txt"], "../nowhere")
    make(tmp_path, "in/b.jpg", **links)
    nowhere = "a link that leads nowhere"
    names = {"b.jpg": "image", ".lock": "hidden", "x.jpg": "image", "notes.txt": ".txt"}
    assert found_in(tmp_path / "in") == {**names, "gone": nowhere}
    assert found_in(tmp_path / "in", follows_links=False) == {**names, "gone": "no extension"}
    assert found_in(tmp_path / "in", "", "gone") == {**names, "gone": "excluded"}
    found = found_in(tmp_path / "in", "**/*.jpg")
    assert found == {"b.jpg": "image", "x.jpg": "image", "gone": nowhere}
    assert found_in(tmp_path / "in", "*.jpg").keys() == {"b.jpg", "x.jpg"}
    assert found_in(tmp_path / "in", "*")["gone"] == "image"
