"""What a native decoder does to its process costs one image."""

import io
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import numpy as np
import PIL.Image
import pytest

from tests.support.decoder_calls import crash_once, give_back, kill_oneself, take_memory
from tests.transforms.images.test_decoder_cases import Cases, cases  # noqa: F401
from transforms.errors import DecoderCrashError, DecodeTimeoutError, ImageError
from transforms.images.decoder_pool import DecoderPool
from transforms.images.header import ImageHeader, read_header
from transforms.images.isolated_decoder import decode_apart, read_header_apart
from transforms.images.pillow_decoder import decode_with_pillow
from transforms.images.policy import Preprocessing
from transforms.images.preprocessor import Preprocessor


def encode(height: int, width: int, format: str) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    file = io.BytesIO()
    PIL.Image.fromarray(noise).save(file, format)
    return file.getvalue()


SLOW = encode(1000, 1000, "JPEG2000")
"""Takes half a second."""


def is_running(process: int) -> bool:
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rsplit(") ", 1)[1][0] not in "ZX"
    except FileNotFoundError:
        return False


def wait_for_the_end(process: int) -> float:
    started = time.monotonic()
    while is_running(process):
        assert time.monotonic() - started < 20, "it still runs"
        time.sleep(0.01)
    return time.monotonic() - started


def test_every_kind_of_file_decodes_to_the_same_bytes_or_the_same_reason(cases: Cases) -> None:  # noqa: F811
    kinds = set()
    for row, file in cases:
        answers: list[object] = []
        for read, decode in (
            (read_header, decode_with_pillow),
            (
                lambda file: read_header_apart(file, 60.0),
                lambda file, header: decode_apart(file, header, 60.0),
            ),
        ):
            try:
                header: ImageHeader = read(file)
                if header.height * header.width > 20_000_000:
                    answers.append(header)
                    continue
                kinds.add(header.format)
                answers.append(decode(file, header).tobytes())
            except ImageError as error:
                answers.append((type(error), str(error)))
        assert answers[0] == answers[1], row["path"]
    assert kinds >= {"JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"}


def test_an_image_that_takes_too_long_costs_itself() -> None:
    files = [SLOW, encode(4, 4, "PNG")]
    quick = Preprocessor(Preprocessing(image_size=(8, 8), max_image_seconds=0.05))(files)
    assert len(quick.pixels) == 1
    assert isinstance(quick.errors[0], DecodeTimeoutError)
    assert str(quick.errors[0]) == "decoding took more than 0.05 s, --max_image_seconds"
    assert not Preprocessor(Preprocessing(image_size=(8, 8)))(files).errors


@pytest.mark.parametrize("signal_number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL])
def test_a_crash_is_tried_again_and_then_costs_the_image(signal_number: signal.Signals) -> None:
    pool = DecoderPool()
    with pytest.raises(DecoderCrashError, match=f"twice .{signal_number.name}"):
        pool.call(kill_oneself, signal_number, seconds=60.0)
    assert pool.call(os.getpid, seconds=60.0) != os.getpid()
    pool.close()


def test_a_crash_that_does_not_come_again_costs_nothing(tmp_path: pathlib.Path) -> None:
    pool = DecoderPool()
    assert pool.call(crash_once, str(tmp_path / "flag"), seconds=60.0) != os.getpid()
    pool.close()


def test_a_process_that_dies_between_two_images_costs_nothing() -> None:
    pool = DecoderPool()
    process = pool.call(os.getpid, seconds=60.0)
    os.kill(process, signal.SIGKILL)
    assert pool.call(os.getpid, seconds=60.0) != process
    pool.close()


def test_an_error_is_the_callers_and_the_process_stays() -> None:
    pool = DecoderPool()
    process = pool.call(os.getpid, seconds=None)
    with pytest.raises(MemoryError):
        pool.call(take_memory, seconds=60.0)
    assert pool.call(os.getpid, seconds=60.0) == process
    pool.close()
    assert not is_running(process)


@pytest.mark.parametrize("size", [0, 1, 16 * 2**20, 16 * 2**20 + 1, 40_000_000])
def test_content_of_every_size_passes_whole(size: int) -> None:
    content = np.random.default_rng(size).bytes(size)
    pool = DecoderPool()
    for _ in range(2):
        assert pool.call(give_back, content, seconds=60.0) == content
    pool.close()


def test_threads_have_a_process_each_and_their_own_answers() -> None:
    pool = DecoderPool()
    wrong: list[int] = []

    def ask(number: int) -> None:
        content = bytes([number]) * 100_000
        wrong.extend(0 for _ in range(20) if pool.call(give_back, content, seconds=60.0) != content)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    pool.close()


@pytest.fixture
def one_second_sockets() -> Iterator[None]:
    """What Beam's access to Google does to a process, with 60 s."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(1)
    yield
    socket.setdefaulttimeout(before)


@pytest.mark.usefixtures("one_second_sockets")
def test_a_timeout_of_all_sockets_ends_no_process() -> None:
    pool = DecoderPool()
    process = pool.call(os.getpid, seconds=60.0)
    file = encode(30, 40, "WEBP")
    for _ in range(5):
        assert pool.call(decode_with_pillow, file, read_header(file), seconds=60.0).shape[2] == 3
    assert pool.call(time.sleep, 1.5, seconds=60.0) is None
    content = np.random.default_rng(0).bytes(1_000_000)
    assert pool.call(give_back, content, seconds=60.0) == content
    assert pool.call(os.getpid, seconds=60.0) == process
    pool.close()


@pytest.mark.parametrize("is_busy", [False, True])
def test_a_parent_that_is_killed_leaves_no_process(is_busy: bool) -> None:
    program = "from tests.support.decoder_calls import wait_for_a_kill as wait\n"
    program += f"wait({is_busy})"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        time.sleep(0.2)
        assert is_running(child)
        parent.kill()
    assert wait_for_the_end(child) < 10


def test_a_program_that_ends_leaves_no_process() -> None:
    program = (
        "import os; from transforms.images.decoder_pool import DecoderPool\n"
        "print(DecoderPool().call(os.getpid, seconds=None))"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert ended.stderr == b""
    assert not is_running(int(ended.stdout))


def test_the_process_imports_no_tensorflow() -> None:
    pool = DecoderPool()
    file = encode(4, 4, "WEBP")
    pool.call(decode_with_pillow, file, read_header(file), seconds=60.0)
    assert not pool.call(eval, "'tensorflow' in __import__('sys').modules", seconds=60.0)
    pool.close()
