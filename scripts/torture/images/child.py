"""The process that decodes what may kill it: reads paths, writes what each file cost."""

import json
import pathlib
import resource
import sys
import time

from scripts.torture.images.files import scene
from transforms.images.policy import Preprocessing
from transforms.images.preprocessor import Preprocessor

ROOM_BYTES = 8_000_000_000
"""Address space beyond what the process has after its start."""


def main() -> None:
    """Decodes one file a line of stdin; answers with one line of JSON."""
    preprocessor = Preprocessor(Preprocessing(image_size=(64, 64)))
    for format in ("JPEG", "PNG", "WEBP", "TIFF"):  # What libraries make once, is nobody's cost.
        preprocessor([scene(format)])
    limit = _status("VmSize") + ROOM_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(_decode(pathlib.Path(line.rstrip("\n")), preprocessor)), flush=True)


def _decode(path: pathlib.Path, preprocessor: Preprocessor) -> dict[str, object]:
    encoded = path.read_bytes()
    # From here on the largest resident size counts anew. Source: Linux, proc_pid_clear_refs(5).
    pathlib.Path("/proc/self/clear_refs").write_text("5")
    before, started = _status("VmRSS"), time.process_time()
    done = preprocessor([encoded])
    seconds = time.process_time() - started
    pixels = int(done.heights[0]) * int(done.widths[0]) if not done.errors else 0
    outcome = f"{type(done.errors[0]).__name__}: {done.errors[0]}" if done.errors else "a row"
    peak = max(_status("VmHWM") - before, 0)
    return {"seconds": seconds, "bytes": peak, "pixels": pixels, "outcome": outcome}


def _status(name: str) -> int:
    """Returns a size of this process, in bytes."""
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise LookupError(name)


if __name__ == "__main__":
    main()
