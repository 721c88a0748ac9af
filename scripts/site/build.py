"""From pages to a site, by Sphinx."""

import pathlib
import shutil
import tempfile

from sphinx.cmd.build import build_main

from scripts.site.source import FIRST_PAGE, gather
from transforms.machine.noise import quiet_libraries


def build(output: pathlib.Path) -> bool:
    """Builds the site; whether it did.

    Args:
        output: Directory, replaced if all is well, else left as it was.

    Returns:
        False if a link, an anchor, a docstring or a page has a fault: those are on stderr.
    """
    with tempfile.TemporaryDirectory() as work:
        source, site = pathlib.Path(work, "pages"), pathlib.Path(work, "site")
        gather(source)
        if not to_html(source, site):
            return False
        # A site begins at index.html, and the README is where its links lead.
        shutil.copyfile(site / f"{FIRST_PAGE}.html", site / "index.html")
        shutil.rmtree(output, ignore_errors=True)
        output.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(site, output)
    return True


def to_html(source: pathlib.Path, site: pathlib.Path) -> bool:
    """Turns a directory of pages into HTML; whether without a fault."""
    configuration = str(pathlib.Path(__file__).parent)
    doctrees = str(source.with_name("doctrees"))
    strictly = ["--fail-on-warning", "--quiet"]
    argv = [*strictly, "-c", configuration, "-d", doctrees, str(source), str(site)]
    with quiet_libraries():  # The transforms import TensorFlow.
        return build_main(argv) == 0
