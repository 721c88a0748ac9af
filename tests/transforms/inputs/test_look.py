"""How far a look goes."""

from collections.abc import Iterator

from transforms.inputs.look import BYTES_COUNTED, IMAGES_COUNTED, Look, look_through


def look(images: int, bytes_each: int) -> Look:
    read = 0

    def items() -> Iterator[int]:
        nonlocal read
        for index in range(images):
            read += bytes_each
            yield index

    return look_through(items(), lambda: read)


def test_a_file_that_ends_is_counted_whole() -> None:
    assert look(0, 1) == Look(0, 0, is_whole=True)
    assert look(3, 100) == Look(3, 300, is_whole=True)
    assert look(IMAGES_COUNTED, BYTES_COUNTED).is_whole


def test_a_look_ends_when_it_has_seen_enough_images_and_bytes() -> None:
    assert look(1000, 30_720) == Look(64, 64 * 30_720, is_whole=False)
    small = look(1_000_000, 1024)
    assert (small.images, small.is_whole) == (1024, False)
    large = look(1000, BYTES_COUNTED)
    assert large == Look(IMAGES_COUNTED, IMAGES_COUNTED * BYTES_COUNTED, is_whole=False)
