"""python -m scripts.site: builds the site into build/site."""

import sys

from scripts.site.build import build
from scripts.site.source import ROOT

if __name__ == "__main__":
    output = ROOT / "build" / "site"
    if not build(output):
        sys.exit("the site has faults; build/site stays as it was")
    print(f"the site begins at {output / 'index.html'}")
