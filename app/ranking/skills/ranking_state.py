"""What a page leaves for the next one in its cursor, beside the last row's place."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.query.ids import Id

# How many values and mentioned skills there are, and `as_of`; the values, the skills
# and the ids of rows follow.
STATE_HEAD = struct.Struct(">HHQ")
BETWEEN_IDS = "\0"


@dataclass(frozen=True)
class RankingState:
    """`values`: what the scores rest on. `seen`: rows that took a place on the pages
    before, as text where they come from a cursor. `mentioned`: the ids of the skills
    that prose mentioned on the first page. `as_of`: that of the `Taste`, because
    feedback after the first page does not change the order.
    """

    values: NDArray[np.float64]
    seen: Sequence[Id] = ()
    mentioned: Sequence[int] = ()
    as_of: int = 0


def state_bytes(state: RankingState, *, room: int = 0) -> bytes:
    """The state in a cursor's form: all of it but `seen`, and the last of `seen` that
    fit into `room` bytes. The first are forgotten: repeats have about the score of what
    they repeat.
    """
    mentioned = np.array(state.mentioned, "<i4")
    data = STATE_HEAD.pack(len(state.values), len(mentioned), state.as_of)
    data += state.values.astype("<f8").tobytes() + mentioned.tobytes()
    kept: list[str] = []
    room -= len(data)
    for id_ in map(str, reversed(state.seen)):
        room -= len(id_.encode()) + 1
        if room < 0:
            break
        kept.append(id_)
    return data + BETWEEN_IDS.join(reversed(kept)).encode()


def read_state(data: bytes) -> RankingState | None:
    """What `state_bytes` was given, or None if that cannot be."""
    try:
        count, ids, as_of = STATE_HEAD.unpack_from(data)
        middle = STATE_HEAD.size + 8 * count
        end = middle + 4 * ids
        values = np.frombuffer(data[STATE_HEAD.size : middle], "<f8", count=count)
        mentioned = np.frombuffer(data[middle:end], "<i4", count=ids)
        text = data[end:].decode()
    except (struct.error, ValueError):
        return None
    seen = text.split(BETWEEN_IDS) if text else ()
    return RankingState(values, seen, mentioned.tolist(), as_of)
