"""Read a safetensors file as memory-mapped arrays, without copies.

The format (https://github.com/huggingface/safetensors#format): eight bytes with the
little-endian length of the header, a JSON header, then the raw tensors.
"""

import json
import math
import mmap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.errors import ModelUnavailableError

_LENGTH_BYTES = 8
_FLOAT32 = np.dtype("<f4")


class SafeTensors:
    """The float32 tensors of one file, as read-only views of its mapping.

    The kernel reads pages on access and may drop them, so the weights do not count as
    the process's own memory.
    """

    def __init__(self, path: Path) -> None:
        """Raises ModelUnavailableError if the file is damaged."""
        self._path = path
        self._map = _map(path)
        self._data_start, self._header = self._read_header()

    def __contains__(self, name: str) -> bool:
        return name in self._header

    def prefix_of(self, name: str) -> str:
        """The prefix of `name` in the file, for example "bert."; often empty."""
        for full_name in self._header:
            if full_name.endswith(name):
                return full_name.removesuffix(name)
        return ""

    def tensor(
        self, name: str, *, shape: Sequence[int | None] | None = None
    ) -> NDArray[np.float32]:
        """The tensor with this name, as a read-only view.

        `shape`: the expected shape; None, also for one axis, accepts any size.
        """
        entry = self._entry(name)
        actual = tuple(entry["shape"])
        if shape is not None and not _fits(actual, shape):
            raise self._damaged(f"{name} has the shape {actual}")
        return np.ndarray(
            actual,
            _FLOAT32,
            buffer=self._map,
            offset=self._data_start + entry["data_offsets"][0],
        )

    def advise_random(self, name: str) -> None:
        """Tell the kernel that rows of this tensor are read in random order.

        Otherwise it reads ahead, and the neighbours of each row take memory.
        """
        start, end = self._entry(name)["data_offsets"]
        first_page = -(-(self._data_start + start) // mmap.PAGESIZE) * mmap.PAGESIZE
        length = self._data_start + end - first_page
        if length > 0:
            self._map.madvise(mmap.MADV_RANDOM, first_page, length)

    def _read_header(self) -> tuple[int, dict[str, Any]]:
        start = _LENGTH_BYTES + int.from_bytes(self._map[:_LENGTH_BYTES], "little")
        if start > len(self._map):
            raise self._damaged(f"header ends at byte {start} of {len(self._map)}")
        try:
            header = json.loads(self._map[_LENGTH_BYTES:start])
        except ValueError as exc:
            raise self._damaged("header is not JSON") from exc
        if not isinstance(header, dict):
            raise self._damaged("header is not a JSON object")
        return start, header

    def _entry(self, name: str) -> dict[str, Any]:
        entry: dict[str, Any] | None = self._header.get(name)
        if entry is None:
            raise self._damaged(f"has no tensor {name}")
        start, end = entry["data_offsets"]
        size = math.prod(entry["shape"]) * _FLOAT32.itemsize
        if entry["dtype"] != "F32" or end - start != size:
            raise self._damaged(f"{name} is not {size} bytes of float32")
        if self._data_start + end > len(self._map):
            raise self._damaged(f"{name} ends after byte {len(self._map)}, the last")
        return entry

    def _damaged(self, fault: str) -> ModelUnavailableError:
        return ModelUnavailableError.at(self._path, fault)


def _fits(actual: Sequence[int], expected: Sequence[int | None]) -> bool:
    return len(actual) == len(expected) and all(
        size in (None, length) for length, size in zip(actual, expected, strict=True)
    )


def _map(path: Path) -> mmap.mmap:
    try:
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as exc:
        # ValueError: an empty file cannot be mapped.
        raise ModelUnavailableError.at(path, "cannot be read") from exc
