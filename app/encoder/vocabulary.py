"""WordPiece's vocabulary as two sorted tables: half a megabyte instead of eight.

The tokenizers library keeps each token twice, with hash tables in both directions;
here a token is found by bisection in the bytes of all of them.
"""

from array import array
from bisect import bisect_right

import numpy as np
from numpy.typing import NDArray

# What marks a token that continues a word, and the longest word that is looked at.
CONTINUES = b"##"
MAX_WORD_CHARACTERS = 100

# Ids are kept in two bytes.
MAX_TOKENS = 65_536


class TokenVocabulary:
    """Token ids of words, greedily the longest token first (Wu et al. 2016)."""

    def __init__(self, lines: bytes, *, unknown: int) -> None:
        """`lines`: the file `vocab.txt`, UTF-8, whose line numbers are the ids.
        `unknown` stands for a word that cannot be put together from tokens. Raises
        ValueError if they are no vocabulary.
        """
        self._unknown = unknown
        tokens = _table(lines)
        continues = np.char.startswith(tokens, CONTINUES)
        self._first = _SortedTokens(tokens, np.flatnonzero(~continues), skip=0)
        self._next = _SortedTokens(
            tokens, np.flatnonzero(continues), skip=len(CONTINUES)
        )

    def word_ids(self, word: str) -> list[int]:
        """The ids of one word, without white space; at least one."""
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
    """Tokens in the order of their UTF-8 bytes, one after the other."""

    def __init__(
        self, tokens: NDArray[np.bytes_], ids: NDArray[np.intp], *, skip: int
    ) -> None:
        """Of `tokens` those at `ids`, without their first `skip` bytes."""
        ids = ids[np.argsort(tokens[ids], kind="stable")]
        rows = (len(ids), tokens.itemsize)
        characters = tokens[ids].view(np.uint8).reshape(rows)[:, skip:]
        used = characters != 0
        ends = np.concatenate([[0], used.sum(axis=1).cumsum()])
        # These give plain integers, and faster than NumPy's arrays do.
        self._ends = array("I", ends.astype(np.uint32).tobytes())
        self._ids = array("H", ids.astype(np.uint16).tobytes())
        self._bytes = characters[used].tobytes()
        self._ranks = range(len(ids))

    def longest_prefix(self, text: bytes) -> tuple[int, int]:
        """The length in bytes and the id of the longest token that begins the text;
        (0, 0) if there is none.
        """
        while text:
            rank = bisect_right(self._ranks, text, key=self._token) - 1
            if rank < 0:
                break
            token = self._token(rank)
            if text.startswith(token):
                return len(token), self._ids[rank]
            # A token that begins the text sorts before this one, so begins it too.
            text = text[: _common_length(text, token)]
        return 0, 0

    def _token(self, rank: int) -> bytes:
        token: bytes = self._bytes[self._ends[rank] : self._ends[rank + 1]]
        return token


def _table(lines: bytes) -> NDArray[np.bytes_]:
    """The lines as an array of fixed width.

    Not through 30,522 Python objects: they would leave 2 MB of holes behind.
    """
    characters = np.frombuffer(lines, np.uint8)
    ends = np.flatnonzero(characters == ord("\n"))
    if not 0 < len(ends) <= MAX_TOKENS:
        raise ValueError(f"{len(ends)} lines are no vocabulary")
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
