"""Convert float16 weights to float32, which the encoder maps.

Once and on disk: converting for each text would take longer than encoding it, and
converting in memory would take the model's size.
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from app.commands.fetch_model.sources import SourceError

_LENGTH_BYTES = 8
_MAX_HEADER_BYTES = 1 << 25
_BLOCK_VALUES = 1 << 20
_NAMES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16", "F64": "float64"}


def to_float32(path: Path) -> None:
    """Convert a safetensors file with float16 weights; keep one with float32 only.

    A converted file omits integer tensors, such as an old checkpoint's position ids.
    Raises SourceError for any other type of weights.
    """
    with path.open("rb") as file:
        header = _header(file, path.name)
        weights = {
            name: entry
            for name, entry in header.items()
            if name != "__metadata__" and not str(entry["dtype"]).startswith(("I", "U"))
        }
        kinds = {str(entry["dtype"]) for entry in weights.values()}
        if unknown := sorted(kinds - {"F16", "F32"}):
            kind = _NAMES.get(unknown[0], unknown[0])
            raise SourceError(
                f"its weights are {kind}, and only float32 and float16 are supported"
            )
        if "F16" not in kinds:
            return
        wide = path.with_suffix(".float32")
        with wide.open("wb") as out:
            out.write(_wide_header(weights))
            for block in _wide_tensors(file, weights):
                out.write(block)
    wide.replace(path)


def _header(file: BinaryIO, name: str) -> dict[str, Any]:
    length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
    try:
        # A longer header is cut off and does not parse.
        header = json.loads(file.read(min(length, _MAX_HEADER_BYTES)))
        for entry in (e for n, e in header.items() if n != "__metadata__"):
            entry["dtype"], entry["shape"], entry["data_offsets"][1]
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        raise SourceError(f"{name} is not a safetensors file") from None
    return dict(header)


def _wide_header(weights: dict[str, Any]) -> bytes:
    header, offset = {}, 0
    for name, entry in weights.items():
        end = offset + 4 * math.prod(entry["shape"])
        header[name] = {
            "dtype": "F32",
            "shape": entry["shape"],
            "data_offsets": [offset, end],
        }
        offset = end
    text = json.dumps(header | {"__metadata__": {"format": "pt"}}).encode()
    # Padded so that the tensors start at a multiple of eight.
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(_LENGTH_BYTES, "little") + text


def _wide_tensors(file: BinaryIO, weights: dict[str, Any]) -> Iterator[bytes]:
    start = file.tell()
    for entry in weights.values():
        dtype = np.dtype("<f2" if entry["dtype"] == "F16" else "<f4")
        file.seek(start + entry["data_offsets"][0])
        left = math.prod(entry["shape"])
        while left > 0:
            values = np.frombuffer(
                file.read(dtype.itemsize * min(left, _BLOCK_VALUES)), dtype
            )
            if not values.size:
                raise SourceError("its weights end too early")
            left -= values.size
            yield values.astype("<f4").tobytes()
