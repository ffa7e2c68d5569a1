"""WordPiece tokenization in bounded memory, with sentence-transformers' ids."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from app.encoder.vocabulary import TokenVocabulary
from app.errors import ModelUnavailableError

# Special tokens by their ids. A text that spells one out contains this token.
_SPECIAL = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, "[MASK]": 103}
_SPELLED_OUT = re.compile(f"({'|'.join(map(re.escape, _SPECIAL))})")

# A piece ends before whitespace, where WordPiece starts a new word, so the joined ids
# of the pieces are those of the text. Only a run of more than 67,584 characters without
# whitespace is cut.
_PIECE = re.compile(r".{1,2048}[^ \t\r\n]{0,65536}", re.DOTALL)


class Tokens(Protocol):
    """A model's tokenizer. It is thread-safe."""

    def ids(self, text: str) -> list[int]:
        """Token ids of the text, special tokens included, truncated."""
        ...


class WordPieces:
    """BERT's tokenizer, truncated at `max_tokens`, [CLS] and [SEP] included.

    The tokenizers library normalizes the text and splits it into words, with its own
    Unicode tables. The vocabulary is ours: it takes 8 MB in the library.
    """

    def __init__(self, path: Path, *, max_tokens: int) -> None:
        """`path`: the checkpoint's `vocab.txt`.

        Raises ModelUnavailableError if it is not a vocabulary.
        """
        try:
            self._vocabulary = TokenVocabulary(
                path.read_bytes(), unknown=_SPECIAL["[UNK]"]
            )
        except (OSError, ValueError) as exc:
            raise ModelUnavailableError.at(path, "cannot be read") from exc
        self._normalizer = BertNormalizer(lowercase=True)
        self._splitter = BertPreTokenizer()
        self._room = max_tokens - 2

    def ids(self, text: str) -> list[int]:
        """Token ids of the text. A lone surrogate is U+FFFD, which BERT drops.

        The library needs about 300 bytes per character, so it gets one piece at a time
        until there are enough tokens.
        """
        ids = [_SPECIAL["[CLS]"]]
        for piece in pieces(text):
            for some in self._ids_by_word(piece):
                ids += some
                if len(ids) > self._room:
                    return [*ids[: self._room + 1], _SPECIAL["[SEP]"]]
        return [*ids, _SPECIAL["[SEP]"]]

    def _ids_by_word(self, piece: str) -> Iterator[list[int]]:
        # Every second part is a special token.
        for n, part in enumerate(_SPELLED_OUT.split(piece)):
            if n % 2:
                yield [_SPECIAL[part]]
                continue
            clean = self._normalizer.normalize_str(part)
            for word, _ in self._splitter.pre_tokenize_str(clean):
                yield self._vocabulary.word_ids(word)


def pieces(text: str) -> Iterator[str]:
    """The text in pieces, cut before whitespace, without lone surrogates."""
    for match in _PIECE.finditer(text):
        # UTF-16 joins the halves of a pair and replaces a lone one.
        utf16 = match[0].encode("utf-16", "surrogatepass")
        yield utf16.decode("utf-16", "replace")
