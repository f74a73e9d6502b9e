"""What is measured is confined to a small host's memory, and let go of."""

import os
import pathlib

import memory

SIZE = 64 << 20
PIECE = 64 << 10
GROUPS = pathlib.Path("/proc/self/cgroup")


def is_cached(file, place):
    try:
        return os.preadv(file.fileno(), [bytearray(PIECE)], place, os.RWF_NOWAIT) == PIECE
    except BlockingIOError:
        return False


def write_and_count_cached(path):
    """Bytes of a file of twice the size that are in memory after it was written."""
    with open(path, "w+b") as file:
        for _ in range(2 * SIZE // PIECE):
            file.write(bytes(PIECE))
        file.flush()
        os.fsync(file.fileno())
        return sum(PIECE for place in range(0, 2 * SIZE, PIECE) if is_cached(file, place))


def test_files_take_no_more_than_the_limit(tmp_path):
    before = GROUPS.read_text()
    with memory.confined(SIZE) as confined:
        assert (GROUPS.read_text() != before) == confined
        assert not confined or write_and_count_cached(tmp_path / "file") <= SIZE
    assert GROUPS.read_text() == before


def test_no_limit():
    before = GROUPS.read_text()
    with memory.confined(0) as confined:
        assert not confined
        assert GROUPS.read_text() == before
