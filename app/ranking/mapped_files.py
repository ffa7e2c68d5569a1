"""Local files that are mapped into memory, and the headers that make their rows valid.

Rows are written first, and the header that counts them last, by renaming: after a crash
the header before is valid, and what lies beyond its rows is overwritten.
"""

import json
import mmap
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Read at a time for a checksum.
CHECKED_BYTES = 1 << 20


def read_header(path: Path) -> dict[str, Any] | None:
    """The values of a header; None without one, or if it is damaged."""
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
        checksum = found.pop("checksum")
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return found if checksum == _checksum(found) else None


def write_header(path: Path, values: Mapping[str, Any]) -> None:
    """Replace a header. The rows that it counts must already be on the disk."""
    draft = path.with_suffix(".tmp")
    with draft.open("w") as file:
        json.dump({**values, "checksum": _checksum(values)}, file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def opened(paths: Sequence[Path]) -> Iterator[list[int]]:
    """Descriptors of files to write, created where they are missing."""
    with ExitStack() as stack:
        descriptors = []
        for path in paths:
            descriptors.append(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            stack.callback(os.close, descriptors[-1])
        yield descriptors


def write_at(descriptor: int, data: bytes, offset: int) -> None:
    """Write all bytes."""
    while data:
        written = os.pwrite(descriptor, data, offset)
        data, offset = data[written:], offset + written


def mapped(
    path: Path, dtype: np.dtype[Any], rows: int, *, is_random: bool = False
) -> NDArray[Any]:
    """The first rows of a file, read-only: (rows, …). `is_random`: few are read."""
    if rows == 0:
        return np.zeros(0, dtype)
    with path.open("rb") as file:
        size = rows * dtype.itemsize
        mapping = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
    if is_random and hasattr(mmap, "MADV_RANDOM"):
        # Otherwise the kernel reads ahead for each row.
        mapping.madvise(mmap.MADV_RANDOM)
    wide = dtype.itemsize // dtype.base.itemsize
    return np.frombuffer(mapping, dtype.base, rows * wide).reshape(rows, *dtype.shape)


def checksum_of_file(path: Path, start: int, end: int, checksum: int) -> int:
    """Continue the checksum of the bytes before `start`. Raises EOFError if the file
    is too short.
    """
    buffer = memoryview(bytearray(CHECKED_BYTES))
    with path.open("rb", buffering=0) as file:
        if os.fstat(file.fileno()).st_size < end:
            raise EOFError(path)
        file.seek(start)
        while start < end:
            read = file.readinto(buffer[: min(end - start, CHECKED_BYTES)])
            if not read:
                raise EOFError(path)
            checksum = zlib.crc32(buffer[:read], checksum)
            start += read
    return checksum


def _checksum(values: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(values, sort_keys=True).encode())
