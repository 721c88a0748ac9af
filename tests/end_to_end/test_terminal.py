"""What the terminal shows: progress, summary, and no noise."""

import io
import os
import pathlib
import subprocess
import sys
from typing import Any

import pytest
from rich.console import Console

from pipelines.cli.progress import ProgressLine, describe_rate
from pipelines.cli.wording import describe_shares, format_summary
from tests.support.runs import write_photos
from transforms.steps.tally import TALLY, Counts, Tally

RECORD: dict[str, Any] = {
    "counts": {"matched": 1012, "written": 1000, "failed": 9, "skipped": 3},
    "failures_by_reason": {"decode/CorruptImage": 6, "read/NotFound": 3},
    "skipped_by_reason": {".txt": 3},
    "skipped_examples": {".txt": "/photos/notes.txt"},
    "files": [{"size_bytes": 1_500_000}, {"size_bytes": 500_000}],
    "config": {"batch_size": 32},
    "engines": [
        {
            "engine": "openvino",
            "precision": "bfloat16",
            "device": "CPU",
            "min_cosine": 0.99998,
            "batch_size": None,
        }
    ],
    "seconds_by_step": {"read": 1.0, "decode": 2.0, "model": 6.5, "write": 0.5},
}


def test_the_summary_says_what_happened_and_where_it_is() -> None:
    assert format_summary(
        RECORD, output="out/", seconds=20.0, workers="2 threads"
    ).splitlines() == [
        "matched   1,012",
        "written   1,000",
        "failed    9",
        "          6 decode/CorruptImage",
        "          3 read/NotFound",
        "skipped   3",
        "          3 .txt, such as /photos/notes.txt",
        "speed     50.5 images/s in 20.0 s, model loading included",
        "engine    openvino bfloat16 on CPU, cosine to float32 0.99998, 32 images a call, "
        "2 threads",
        "time in   read 10%, decode 20%, model 65%, write 5%",
        "files     2 (2.0 MB) in out/",
        "failures  out/_failures.jsonl",
    ]


def test_a_batch_size_that_was_learned_is_told_and_one_that_is_not_known_is_not() -> None:
    (openvino,) = RECORD["engines"]
    learned = {"engine": "tensorflow", "precision": "float32", "device": "GPU", "min_cosine": None}
    record = {
        **RECORD,
        "config": {"batch_size": "auto"},
        "engines": [openvino, {**learned, "batch_size": 16}],
    }
    lines = format_summary(record, output="out", seconds=1.0).splitlines()
    assert [line for line in lines if line.startswith("engine")] == [
        "engine    openvino bfloat16 on CPU, cosine to float32 0.99998",
        "engine    tensorflow float32 on GPU, 16 images a call",
    ]


def test_many_reasons_are_cut_and_still_add_up() -> None:
    reasons = {f"decode/Reason{n}": 1 for n in range(12)}
    record = {**RECORD, "failures_by_reason": reasons}
    lines = format_summary(record, output="out", seconds=1.0).splitlines()
    assert "          4 for other reasons" in lines


def test_shares_of_no_time_are_no_work() -> None:
    assert describe_shares({"read": 0.0, "model": 0.0}) == "no work"


def test_the_rate_says_how_long_it_takes() -> None:
    assert describe_rate(Counts(), 0.0) == "starting"
    assert describe_rate(Counts(total=7300, written=90, failed=10), 10.0) == (
        "10.0 images/s, 0:12:00 left"
    )


def test_the_tally_adds_up_and_starts_again() -> None:
    tally = Tally()
    tally.add(total=5)
    tally.add(written=2, failed=1)
    assert tally.counts() == Counts(total=5, written=2, failed=1)
    tally.reset()
    assert tally.counts() == Counts()


def test_progress_is_drawn_on_a_terminal_until_it_is_stopped() -> None:
    TALLY.reset()
    TALLY.add(total=40, written=30, failed=2)
    file = io.StringIO()
    progress = ProgressLine(Console(file=file, force_terminal=True, width=120))
    assert progress.drawn.wait(10)
    progress.stop()
    drawn = file.getvalue()
    assert "32/40 images" in drawn
    assert "2 failed" in drawn
    progress.stop()
    assert file.getvalue().rstrip("\n") == drawn.rstrip("\n")


def test_progress_is_quiet_where_there_is_no_terminal() -> None:
    file = io.StringIO()
    progress = ProgressLine(Console(file=file, force_terminal=False))
    assert progress.drawn.wait(10)
    progress.stop()
    assert file.getvalue() == ""


def run_noisy(body: str) -> subprocess.CompletedProcess[str]:
    code = f"import os, sys\nfrom transforms.machine.noise import quiet_libraries\n{body}"
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=pathlib.Path(__file__).parents[2],
        env=dict(os.environ),
    )


def test_native_noise_is_kept_off_and_our_own_lines_are_not() -> None:
    done = run_noisy(
        "with quiet_libraries():\n"
        "    os.write(2, b'libjpeg: noise\\n')\n"
        "    print('ours', file=sys.stderr)\n"
        "os.write(2, b'after\\n')\n"
    )
    assert done.stderr == "ours\nafter\n"


def test_native_noise_is_shown_if_the_block_fails() -> None:
    done = run_noisy(
        "with quiet_libraries():\n    os.write(2, b'clue\\n')\n    raise KeyError(1)\n"
    )
    assert done.stderr.startswith("clue\n")
    assert "KeyError" in done.stderr


def test_native_noise_is_not_shown_beside_our_own_errors() -> None:
    done = run_noisy(
        "from transforms.errors import ModelError\n"
        "try:\n"
        "    with quiet_libraries():\n"
        "        os.write(2, b'noise\\n')\n"
        "        raise ModelError('no')\n"
        "except ModelError:\n"
        "    pass\n"
    )
    assert done.stderr == ""


def run_unread(body: str, redirection: str) -> int:
    """Runs a program, given as the body of its work, in a shell; returns its exit code."""
    code = (
        "import os, sys\n"
        "from pipelines.cli.program import report_errors\n"
        "from transforms.machine.noise import quiet_libraries\n"
        "def work():\n"
        "    with quiet_libraries():\n"
        f"        {body}\n"
        "sys.exit(report_errors('test', work, drops_on=OSError))\n"
    )
    shell = f'set -o pipefail; "$0" -c "$1" {redirection}; exit ${{PIPESTATUS[0]}}'
    return subprocess.run(
        ["bash", "-c", shell, sys.executable, code],
        check=False,
        cwd=pathlib.Path(__file__).parents[2],
    ).returncode


SAYS_MUCH = "[print('x' * 9999, file=f) for f in (sys.stdout, sys.stderr)]; os.write(9, b'end')"


@pytest.mark.parametrize(
    "redirection",
    [
        "| sleep 0",
        "2>&1 | sleep 0",
        "2> >(sleep 0)",
        "2>&-",
        ">&-",
        "<&- >&- 2>&-",
        ">/dev/full",
        "2>/dev/full",
    ],
)
def test_what_nobody_reads_changes_neither_the_work_nor_the_exit_code(
    tmp_path: pathlib.Path, redirection: str
) -> None:
    end = tmp_path / "end"
    wait = "import time; time.sleep(0.3); "
    assert run_unread(f"{wait}{SAYS_MUCH}; return 0", f"9>{end} {redirection}") == 0
    assert end.read_text() == "end"
    assert run_unread(f"{wait}{SAYS_MUCH}; return 7", f"9>{end} {redirection}") == 7


@pytest.mark.parametrize("much", [1, 1_000_000])
def test_a_full_disk_is_an_error_of_a_program_whose_output_is_what_it_prints(much: int) -> None:
    code = (
        f"much = {much}\n"
        "from pipelines.cli.program import report_errors\n"
        "raise SystemExit(report_errors('test', lambda: print('found' * much) or 0))\n"
    )
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            cwd=pathlib.Path(__file__).parents[2],
        )
    assert done.returncode == 1
    told = "test: standard output cannot be written: no space left on device\n"
    assert done.stderr == told


@pytest.mark.parametrize("redirection", ["| true", "2>&-"])
def test_a_run_is_published_and_exits_with_0_though_nobody_reads(
    tmp_path: pathlib.Path, mean_color: str, redirection: str
) -> None:
    write_photos(tmp_path / "photos", 3)
    command = (
        f'"$0" -m pipelines.embed --model {mean_color} --input {tmp_path}/photos '
        f"--output {tmp_path}/out {redirection}; exit ${{PIPESTATUS[0]}}"
    )
    done = subprocess.run(["bash", "-c", command, sys.executable], check=False)
    assert done.returncode == 0
    assert (tmp_path / "out" / "_SUCCESS").exists()
