"""WordPiece's vocabulary as two sorted tables: half a megabyte instead of eight.

The tokenizers library stores each token twice, in hash tables of both directions; this
module finds a token by bisection.
"""

from array import array
from bisect import bisect_right

import numpy as np
from numpy.typing import NDArray

# The prefix of tokens that continue a word. A longer word than this is unknown.
CONTINUES = b"##"
MAX_WORD_CHARACTERS = 100

# Ids are stored in two bytes.
MAX_TOKENS = 65_536


class TokenVocabulary:
    """Splits words into tokens, greedily the longest first (Wu et al. 2016)."""

    def __init__(self, lines: bytes, *, unknown: int) -> None:
        """`lines`: the content of `vocab.txt`, UTF-8, whose line numbers are the ids.

        `unknown`: the id of a word that cannot be split into tokens. Raises ValueError
        if `lines` is not a vocabulary.
        """
        self._unknown = unknown
        tokens = _table(lines)
        continues = np.char.startswith(tokens, CONTINUES)
        self._first = _SortedTokens(tokens, np.flatnonzero(~continues), skip=0)
        self._next = _SortedTokens(
            tokens, np.flatnonzero(continues), skip=len(CONTINUES)
        )

    def word_ids(self, word: str) -> list[int]:
        """The ids of one word without whitespace; at least one id."""
        if len(word) > MAX_WORD_CHARACTERS:
            return [self._unknown]
        rest = word.encode()
        tokens = self._first
        ids = []
        while rest:
            length, id_ = tokens.longest_prefix(rest)
            if length == 0:
                return [self._unknown]
            ids.append(id_)
            rest = rest[length:]
            tokens = self._next
        return ids


class _SortedTokens:
    """Tokens sorted by their UTF-8 bytes, concatenated."""

    def __init__(
        self, tokens: NDArray[np.bytes_], ids: NDArray[np.intp], *, skip: int
    ) -> None:
        """The tokens at `ids`, without their first `skip` bytes."""
        ids = ids[np.argsort(tokens[ids], kind="stable")]
        rows = (len(ids), tokens.itemsize)
        characters = tokens[ids].view(np.uint8).reshape(rows)[:, skip:]
        used = characters != 0
        ends = np.concatenate([[0], used.sum(axis=1).cumsum()])
        # `array` returns plain integers, and faster than NumPy.
        self._ends = array("I", ends.astype(np.uint32).tobytes())
        self._ids = array("H", ids.astype(np.uint16).tobytes())
        self._bytes = characters[used].tobytes()
        self._ranks = range(len(ids))

    def longest_prefix(self, text: bytes) -> tuple[int, int]:
        """Length in bytes and id of the longest token that `text` starts with.

        Returns (0, 0) if there is none.
        """
        while text:
            rank = bisect_right(self._ranks, text, key=self._token) - 1
            if rank < 0:
                break
            token = self._token(rank)
            if text.startswith(token):
                return len(token), self._ids[rank]
            # A token that starts the text sorts before this one, so it starts this too.
            text = text[: _common_length(text, token)]
        return 0, 0

    def _token(self, rank: int) -> bytes:
        token: bytes = self._bytes[self._ends[rank] : self._ends[rank + 1]]
        return token


def _table(lines: bytes) -> NDArray[np.bytes_]:
    """The lines as a fixed-width array.

    Without 30,522 Python objects, which would fragment 2 MB of the heap.
    """
    characters = np.frombuffer(lines, np.uint8)
    ends = np.flatnonzero(characters == ord("\n"))
    if not 0 < len(ends) <= MAX_TOKENS:
        raise ValueError(f"a file of {len(ends)} lines is not a vocabulary")
    starts = np.concatenate([[0], ends[:-1] + 1])
    places = starts[:, None] + np.arange((ends - starts).max())
    inside = places < ends[:, None]
    table = np.where(inside, characters[np.where(inside, places, 0)], np.uint8(0))
    fixed: NDArray[np.bytes_] = table.view(f"S{table.shape[1]}")[:, 0]
    return fixed


def _common_length(a: bytes, b: bytes) -> int:
    for length, (x, y) in enumerate(zip(a, b, strict=False)):
        if x != y:
            return length
    return min(len(a), len(b))
