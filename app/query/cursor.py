"""Cursors: the end of a page as text, valid only for the same query."""

import base64
import hashlib
import math
import struct

from app.errors import InvalidInputError
from app.query.constraints import CursorPosition

CHECKSUM_BYTES = 12
# Both scores, the hour, and the length of ranking_state.
POSITION_HEAD = struct.Struct(">ddIH")
MAX_LENGTH = 4096


def query_hash(*parts: object) -> bytes:
    """Hash everything that orders the rows of a query, by each part's `repr`."""
    return hashlib.blake2b(repr(parts).encode(), digest_size=CHECKSUM_BYTES).digest()


def to_text(position: CursorPosition, query_hash: bytes) -> str:
    """The cursor of a position in the answer to the query with this hash."""
    encoded = _encode(position)
    data = _checksum(encoded, query_hash) + encoded
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def room_for_state(id_: int | str) -> int:
    """How many bytes a ranking_state may have in a cursor after this row."""
    most = MAX_LENGTH // 4 * 3
    return most - CHECKSUM_BYTES - POSITION_HEAD.size - len(str(id_).encode())


def from_text(text: str) -> CursorPosition:
    """Parse a cursor. `check` tells whether it belongs to the query.

    Raises InvalidInputError for any other text.
    """
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
        checksum, encoded = data[:CHECKSUM_BYTES], data[CHECKSUM_BYTES:]
        score, second, hour, length = POSITION_HEAD.unpack_from(encoded)
        rest = encoded[POSITION_HEAD.size :]
        ranking_state, id_ = rest[:length], rest[length:].decode()
    except (ValueError, struct.error):
        raise wrong_cursor() from None
    if not (math.isfinite(score) and math.isfinite(second)):
        raise wrong_cursor()
    return CursorPosition(score, second, id_, ranking_state, checksum, hour)


def check(position: CursorPosition | None, query_hash: bytes) -> None:
    """Raises InvalidInputError for a position in the answer to another query."""
    if position is None:
        return
    if _checksum(_encode(position), query_hash) != position.checksum:
        raise wrong_cursor()


def wrong_cursor() -> InvalidInputError:
    """The error for a cursor that does not belong to the query."""
    return InvalidInputError(
        "The cursor belongs to another query, or the user's skills or the model have"
        " changed; omit it to get the first page."
    )


def _encode(position: CursorPosition) -> bytes:
    head = POSITION_HEAD.pack(
        position.score, position.second, position.hour, len(position.ranking_state)
    )
    return head + position.ranking_state + str(position.id).encode()


def _checksum(encoded: bytes, query_hash: bytes) -> bytes:
    return hashlib.blake2b(query_hash + encoded, digest_size=CHECKSUM_BYTES).digest()
