"""The pages that the site is made of, gathered in one directory as they lie in the repository."""

import importlib
import pathlib
import re
import shutil
from collections.abc import Iterable, Iterator

import transforms
from pipelines.command import PROGRAMS
from scripts.site.program_page import program_page

ROOT = pathlib.Path(__file__).parents[2]
FIRST_PAGE = "README"

_INDEX = "docs/README"
_TUTORIAL = "docs/tutorial"
_LAST_PAGES = ("docs/architecture", "CHANGELOG", "CONTRIBUTING")
_REFERENCE = "transforms"

_LINK = re.compile(r"\]\(([^)\s#]+)[^)\s]*\)")


def gather(source: pathlib.Path) -> None:
    """Fills a new directory: the repository's pages, a page a program, one of the transforms.

    Pages keep their places, so that the links between them lead where they do on GitHub. What else
    they link to, such as ../LICENSE, comes along.
    """
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob(f"{_TUTORIAL}.ipynb")]
    for file in {*pages, *_linked_files(pages)}:
        copy = source / file.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
    for name in PROGRAMS:
        page = source / "programs" / f"{name}.md"
        page.parent.mkdir(exist_ok=True)
        page.write_text(program_page(importlib.import_module(f"pipelines.{name}").PROGRAM))
    (source / f"{_REFERENCE}.md").write_text(reference(transforms.__all__))
    with (source / f"{FIRST_PAGE}.md").open("a") as first:
        first.writelines(_tables_of_contents())


def _linked_files(pages: Iterable[pathlib.Path]) -> Iterator[pathlib.Path]:
    """Yields the files of the repository that pages link to."""
    for page in pages:
        for target in _LINK.findall(page.read_text()):
            file = (page.parent / target).resolve()
            if file.is_file() and file.is_relative_to(ROOT):
                yield file


def reference(names: Iterable[str]) -> str:
    """Returns the page of the transforms, of their docstrings.

    Args:
        names: Public names of the package transforms; those of classes begin in upper case.
    """
    entries = "\n".join(
        f".. {'autoclass' if name[0].isupper() else 'autofunction'}:: {name}\n" for name in names
    )
    return f"""\
# The transforms

For pipelines of your own: [how they are used](docs/api.md), with examples.

```{{eval-rst}}
.. currentmodule:: transforms

{entries}
.. currentmodule:: pipelines

.. autoclass:: RunImageInference
```
"""


def _tables_of_contents() -> Iterator[str]:
    """Yields what stands beside every page, in the order of docs/README.md."""
    index = (ROOT / f"{_INDEX}.md").read_text()
    guides = dict.fromkeys(f"docs/{name}" for name in re.findall(r"\]\((\w+)\.md\)", index))
    tutorial = [f"Tutorial <{_TUTORIAL}>"] if (ROOT / f"{_TUTORIAL}.ipynb").exists() else []
    for caption, pages in {
        "Start": ["Overview <self>", f"All pages <{_INDEX}>", *tutorial],
        "Guides": [page for page in guides if page not in _LAST_PAGES],
        "Reference": [_REFERENCE, *_LAST_PAGES],
        "Programs": [f"programs/{name}" for name in PROGRAMS],
    }.items():
        listed = "\n".join(pages)
        yield f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{listed}\n```\n"
