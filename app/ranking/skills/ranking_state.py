"""What a page leaves for the next one in its cursor, beside the last row's place."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.query.ids import Id

# How many numbers there are; the ids follow them.
STATE_HEAD = struct.Struct(">H")
BETWEEN_IDS = "\0"


@dataclass(frozen=True)
class RankingState:
    """`values`: what the scores rest on. `seen`: rows that took a place on the pages
    before, as text where they come from a cursor.
    """

    values: NDArray[np.float64]
    seen: Sequence[Id] = ()


def state_bytes(
    values: NDArray[np.float64], seen: Sequence[Id] = (), *, room: int = 0
) -> bytes:
    """The state in a cursor's form: all values, and the last of `seen` that fit into
    `room` bytes. The first are forgotten: repeats have about the score of what they
    repeat.
    """
    data = STATE_HEAD.pack(len(values)) + values.astype("<f8").tobytes()
    kept: list[str] = []
    room -= len(data)
    for id_ in map(str, reversed(seen)):
        room -= len(id_.encode()) + 1
        if room < 0:
            break
        kept.append(id_)
    return data + BETWEEN_IDS.join(reversed(kept)).encode()


def read_state(data: bytes) -> RankingState | None:
    """What `state_bytes` was given, or None if that cannot be."""
    try:
        (count,) = STATE_HEAD.unpack_from(data)
        end = STATE_HEAD.size + 8 * count
        values = np.frombuffer(data[STATE_HEAD.size : end], "<f8", count=count)
        text = data[end:].decode()
    except (struct.error, ValueError):
        return None
    return RankingState(values, text.split(BETWEEN_IDS) if text else ())
