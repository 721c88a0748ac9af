"""When garbage is looked for."""

import gc
import subprocess
import sys

import pytest

from transforms.machine.garbage import importing
from transforms.models.image_model import ImageModel
from transforms.models.inspection import inspect_saved_model


def test_none_is_looked_for_while_libraries_are_imported() -> None:
    frozen = gc.get_freeze_count()
    with importing():
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() == frozen  # Nothing was imported.
    with pytest.raises(ImportError), importing():
        import no_such_library  # type: ignore[import-not-found]  # noqa: F401
    assert gc.isenabled()


def test_what_is_imported_lasts_and_all_does_at_the_end() -> None:
    code = (
        "import atexit, gc\n"
        "from transforms.machine.garbage import exit_at_once, importing\n"
        "with importing(): import decimal\n"
        "count = gc.get_freeze_count()\n"
        "print(count > 0)\n"
        "kept = [[] for _ in range(100)]\n"
        "atexit.register(lambda: print(gc.get_freeze_count() >= count + 100))\n"
        "exit_at_once(3)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "True\nTrue\n")


def test_none_is_looked_for_while_a_model_is_loaded(mean_color: str) -> None:
    phases: list[str] = []

    def collected(phase: str, _: dict[str, int]) -> None:
        phases.append(phase)

    spec = inspect_saved_model(mean_color)
    thresholds = gc.get_threshold()
    gc.collect()
    gc.set_threshold(100)
    gc.callbacks.append(collected)
    try:
        ImageModel(mean_color, spec, image_size=(24, 24))
    finally:
        gc.set_threshold(*thresholds)
        gc.callbacks.remove(collected)
    assert gc.isenabled()
    assert phases.count("start") <= 1  # What has become due meanwhile.
