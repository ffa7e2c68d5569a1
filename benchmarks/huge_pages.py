"""Huge pages for the shared buffers of a Postgres, if they can be reserved (root)."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

RESERVED = Path("/proc/sys/vm/nr_hugepages")
PAGE_BYTES = 2 * 1024 * 1024

# What Postgres keeps in shared memory beside its buffers: 300 MB for 4 GB and more.
OVERHEAD = 1.1


@contextmanager
def huge_pages(buffers_bytes: int) -> Iterator[None]:
    """Reserve enough of them for `shared_buffers` of this size, and give them back. A
    Postgres whose `huge_pages` is `try`, its default, takes them where they suffice.
    """
    before = _reserved()
    _reserve(before + int(buffers_bytes * OVERHEAD) // PAGE_BYTES)
    try:
        yield
    finally:
        _reserve(before)


def _reserved() -> int:
    return int(RESERVED.read_text()) if RESERVED.exists() else 0


def _reserve(count: int) -> None:
    # OSError: not root, or a system without them.
    with suppress(OSError):
        RESERVED.write_text(str(count))
