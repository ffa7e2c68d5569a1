"""Tokenize with a checkpoint's own `tokenizer.json`, in bounded memory.

For all models except the pinned one, whose vocabulary takes less memory in `tokens.py`.
"""

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as LibraryTokenizer

from app.encoder.layout import UnsupportedModelError
from app.encoder.tokens import pieces
from app.errors import ModelUnavailableError

# Pre-tokenizers that split at whitespace.
_AT_WHITE_SPACE = ("BertPreTokenizer", "Whitespace", "WhitespaceSplit")


class LibraryTokens:
    """A tokenizer of the tokenizers library, truncated at `max_tokens`.

    `max_tokens` includes special tokens. Only tokenizers that first split at whitespace
    are supported, as those of BERT and XLM-RoBERTa do. A vocabulary of 250,000 tokens
    takes 190 to 280 MB in the library.
    """

    def __init__(self, path: Path, *, max_tokens: int) -> None:
        """`path`: a `tokenizer.json`.

        Raises ModelUnavailableError if it cannot be parsed, and UnsupportedModelError
        if it does not split at whitespace.
        """
        try:
            self._tokenizer = LibraryTokenizer.from_file(str(path))
        except Exception as exc:  # the library raises no narrower class
            raise ModelUnavailableError.at(path, "cannot be read") from exc
        _check_splitting(self._tokenizer)
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._first, self._last = self._special_tokens()
        self._room = max_tokens - len(self._first) - len(self._last)

    def ids(self, text: str) -> list[int]:
        """Token ids of the text. A lone surrogate counts as U+FFFD.

        The library needs hundreds of bytes per character, so it gets one piece at a
        time until there are enough tokens.
        """
        ids: list[int] = []
        for piece in pieces(text):
            ids += self._tokenizer.encode(piece, add_special_tokens=False).ids
            if len(ids) >= self._room:
                break
        return [*self._first, *ids[: self._room], *self._last]

    def _special_tokens(self) -> tuple[list[int], list[int]]:
        """The special tokens before and after a text."""
        encoded = self._tokenizer.encode("a")
        inner = [n for n, put in enumerate(encoded.special_tokens_mask) if not put]
        return encoded.ids[: inner[0]], encoded.ids[inner[-1] + 1 :]


def _check_splitting(tokenizer: LibraryTokenizer) -> None:
    """Check that a text's ids are the joined ids of its pieces."""
    splitter = tokenizer.pre_tokenizer
    state: dict[str, Any] = json.loads(splitter.__getstate__()) if splitter else {}
    steps = state.get("pretokenizers") or [state]
    if steps[0].get("type") not in _AT_WHITE_SPACE:
        raise UnsupportedModelError(
            f"A tokenizer that splits by {steps[0].get('type')} is not supported."
        )
    if any(step.get("prepend_scheme") == "first" for step in steps):
        raise UnsupportedModelError(
            "A tokenizer that marks only the first word is not supported."
        )
