"""Cursors: where a page ended, as text that only the same question can go on from."""

import base64
import hashlib
import math
import struct

from app.errors import InvalidInputError
from app.query.constraints import CursorPosition

CHECKSUM_BYTES = 12
# Both scores, and how long the ranking_state is.
POSITION_HEAD = struct.Struct(">ddH")
MAX_LENGTH = 4096


def query_hash(*parts: object) -> bytes:
    """Of what orders the jobs of a question; values that look alike are alike."""
    return hashlib.blake2b(repr(parts).encode(), digest_size=CHECKSUM_BYTES).digest()


def to_text(position: CursorPosition, question: bytes) -> str:
    """The cursor of a place in the answer to the question with this query_hash."""
    place = _place(position)
    data = _checksum(place, question) + place
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def from_text(text: str) -> CursorPosition:
    """The place; that it belongs to the question, `check` must tell.

    Raises InvalidInputError for what is no cursor.
    """
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
        checksum, place = data[:CHECKSUM_BYTES], data[CHECKSUM_BYTES:]
        score, second, length = POSITION_HEAD.unpack_from(place)
        rest = place[POSITION_HEAD.size :]
        ranking_state, id_ = rest[:length], rest[length:].decode()
    except (ValueError, struct.error):
        raise foreign() from None
    if not (math.isfinite(score) and math.isfinite(second)):
        raise foreign()
    return CursorPosition(score, second, id_, ranking_state, checksum)


def check(position: CursorPosition | None, question: bytes) -> None:
    """Raises InvalidInputError for a place in the answer to another question."""
    if position is None:
        return
    if _checksum(_place(position), question) != position.checksum:
        raise foreign()


def foreign() -> InvalidInputError:
    """The error for a cursor that does not belong to its question."""
    return InvalidInputError(
        "The cursor belongs to another question, or the user's skills or the model"
        " changed since; ask without it for the first page."
    )


def _place(position: CursorPosition) -> bytes:
    head = POSITION_HEAD.pack(
        position.score, position.second, len(position.ranking_state)
    )
    return head + position.ranking_state + str(position.id).encode()


def _checksum(place: bytes, question: bytes) -> bytes:
    return hashlib.blake2b(question + place, digest_size=CHECKSUM_BYTES).digest()
