"""Text to WordPiece ids, as sentence-transformers does it, in bounded memory."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from app.encoder.vocabulary import TokenVocabulary
from app.errors import ModelUnavailableError

# Tokens that count as themselves where a text spells them out, by their ids.
_SPECIAL = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, "[MASK]": 103}
_SPELLED_OUT = re.compile(f"({'|'.join(map(re.escape, _SPECIAL))})")

# A piece ends before white space, where WordPiece starts a new word anyway, so that
# the pieces' ids joined are the text's ids. Only a run of more than 67,584 characters
# without any white space is cut inside.
_PIECE = re.compile(r".{1,2048}[^ \t\r\n]{0,65536}", re.DOTALL)


class Tokens(Protocol):
    """A model's tokenizer; any number of threads may call it."""

    def ids(self, text: str) -> list[int]:
        """Token ids of the text, special tokens included, truncated."""
        ...


class WordPieces:
    """BERT's tokenizer, truncating at `max_tokens`, [CLS] and [SEP] included.

    The tokenizers library cleans the text and cuts it into words, by its own tables of
    Unicode; the vocabulary, which takes 8 MB there, is ours.
    """

    def __init__(self, path: Path, *, max_tokens: int) -> None:
        """`path`: the checkpoint's `vocab.txt`. Raises ModelUnavailableError if it
        holds no vocabulary.
        """
        try:
            self._vocabulary = TokenVocabulary(
                path.read_bytes(), unknown=_SPECIAL["[UNK]"]
            )
        except (OSError, ValueError) as exc:
            raise ModelUnavailableError(
                f"{path} cannot be read: run `make model`."
            ) from exc
        self._normalizer = BertNormalizer(lowercase=True)
        self._splitter = BertPreTokenizer()
        self._room = max_tokens - 2

    def ids(self, text: str) -> list[int]:
        """Token ids of the text. Half a surrogate pair counts as U+FFFD: BERT drops it.

        The library needs about 300 bytes per character: it is fed piece by piece until
        the room is full.
        """
        ids = [_SPECIAL["[CLS]"]]
        for piece in pieces(text):
            for some in self._ids_by_word(piece):
                ids += some
                if len(ids) > self._room:
                    return [*ids[: self._room + 1], _SPECIAL["[SEP]"]]
        return [*ids, _SPECIAL["[SEP]"]]

    def _ids_by_word(self, piece: str) -> Iterator[list[int]]:
        # Every second part is a special token that the text spells out.
        for n, part in enumerate(_SPELLED_OUT.split(piece)):
            if n % 2:
                yield [_SPECIAL[part]]
                continue
            clean = self._normalizer.normalize_str(part)
            for word, _ in self._splitter.pre_tokenize_str(clean):
                yield self._vocabulary.word_ids(word)


def pieces(text: str) -> Iterator[str]:
    """The text, cut before white space, without halves of surrogate pairs."""
    for match in _PIECE.finditer(text):
        # UTF-16 joins the halves of a pair and replaces one that is alone.
        utf16 = match[0].encode("utf-16", "surrogatepass")
        yield utf16.decode("utf-16", "replace")
