"""What a cursor keeps of a page's ranking, beside the place of its last row."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.query.ids import Id, IdColumn

# How many values, mentioned skills and shown rows there are, and `as_of`; these and the
# ids of rows follow.
STATE_HEAD = struct.Struct(">HHHQ")
BETWEEN_IDS = "\0"


@dataclass(frozen=True)
class RankingState:
    """`values`: what the scores rest on. `seen`: rows that took a place on the pages
    before, as text where they come from a cursor. `mentioned`: the ids of the skills
    that prose mentioned on the first page. `as_of`: that of the `Taste`, because
    feedback after the first page does not change the order. `shown`: the hashes of the
    rows that were chosen of those after the cursor, where the order is not by score.
    """

    values: NDArray[np.float64]
    seen: Sequence[Id] = ()
    mentioned: Sequence[int] = ()
    as_of: int = 0
    shown: Sequence[int] = ()


NO_VALUES = np.zeros(0)


def state_bytes(state: RankingState, *, room: int = 0) -> bytes:
    """The state in a cursor's form: all of it but `seen`, and the last of `seen` that
    fit into `room` bytes. The first are forgotten: repeats have about the score of what
    they repeat.
    """
    mentioned = np.array(state.mentioned, "<i4")
    shown = np.array(state.shown, "<u4")
    sizes = len(state.values), len(mentioned), len(shown)
    data = STATE_HEAD.pack(*sizes, state.as_of) + state.values.astype("<f8").tobytes()
    data += mentioned.tobytes() + shown.tobytes()
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
        count, skills, hashes, as_of = STATE_HEAD.unpack_from(data)
        middle = STATE_HEAD.size + 8 * count
        end = middle + 4 * skills
        values = np.frombuffer(data[STATE_HEAD.size : middle], "<f8", count=count)
        mentioned = np.frombuffer(data[middle:end], "<i4", count=skills)
        shown = np.frombuffer(data[end : end + 4 * hashes], "<u4", count=hashes)
        text = data[end + 4 * hashes :].decode()
    except (struct.error, ValueError):
        return None
    seen = text.split(BETWEEN_IDS) if text else ()
    return RankingState(values, seen, mentioned.tolist(), as_of, shown.tolist())


def seen_ids(state: RankingState | None, column: IdColumn) -> list[Id]:
    """The ids in the state of a cursor, as the table holds them."""
    seen = () if state is None else state.seen
    ids = [column.parse(id_) for id_ in seen]
    return [id_ for id_ in ids if id_ is not None]
