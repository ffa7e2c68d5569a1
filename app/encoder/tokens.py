"""Text to WordPiece ids, as sentence-transformers does it, in bounded memory."""

import re
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Tokenizer

from app.errors import ModelUnavailableError

_CLS = 101
_SEP = 102

# A piece ends before white space, where WordPiece starts a new word anyway, so that
# the pieces' ids joined are the text's ids. Only a run of more than 67,584 characters
# without any white space is cut inside.
_PIECE = re.compile(r".{1,2048}[^ \t\r\n]{0,65536}", re.DOTALL)


class WordPieces:
    """BERT's tokenizer, truncating at `max_tokens`, [CLS] and [SEP] included."""

    def __init__(self, path: Path, *, max_tokens: int) -> None:
        """Raises ModelUnavailableError if `path` holds no tokenizer."""
        self._tokenizer = _load(path)
        self._room = max_tokens - 2

    def ids(self, text: str) -> list[int]:
        """Token ids of the text. Half a surrogate pair counts as U+FFFD: BERT drops it.

        The tokenizer needs about 300 bytes per character, and cuts only after it has
        seen the whole text: it is fed piece by piece until the room is full.
        """
        ids: list[int] = []
        for piece in _pieces(text):
            ids += self._tokenizer.encode(piece, add_special_tokens=False).ids
            if len(ids) >= self._room:
                break
        return [_CLS, *ids[: self._room], _SEP]


def _pieces(text: str) -> Iterator[str]:
    for match in _PIECE.finditer(text):
        # UTF-16 joins the halves of a pair and replaces one that is alone.
        utf16 = match[0].encode("utf-16", "surrogatepass")
        yield utf16.decode("utf-16", "replace")


def _load(path: Path) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as exc:  # tokenizers raises bare Exception for every fault
        raise ModelUnavailableError(
            f"{path} cannot be read: run `make model`."
        ) from exc
    # The file asks for padding to 128 tokens and truncation there.
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer
