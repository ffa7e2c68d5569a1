"""`app.encoder.vocabulary`: greedy longest-match-first."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from app.encoder.tokens import WordPieces
from app.encoder.vocabulary import TokenVocabulary

UNKNOWN = 0


def vocabulary(*tokens: str) -> TokenVocabulary:
    """A vocabulary whose ids are the positions of the arguments, from 1."""
    lines = "".join(f"{token}\n" for token in ("[UNK]", *tokens))
    return TokenVocabulary(lines.encode(), unknown=UNKNOWN)


@pytest.mark.parametrize(
    ("tokens", "word", "ids"),
    [
        (["nurse", "##s"], "nurse", [1]),
        (["nurse", "##s"], "nurses", [1, 2]),
        (["nurse", "##s"], "s", [UNKNOWN]),  # it only continues
        (["nurse", "##s"], "nursex", [UNKNOWN]),  # the whole word, not its rest
        (["a", "ab", "abcd", "##c", "##d"], "abc", [2, 4]),  # the longest that fits
        (["a", "abd", "abz"], "abc", [UNKNOWN]),
        (["a", "##b", "##bb"], "abbb", [1, 3, 2]),
        (["b"], "a", [UNKNOWN]),  # before the first token
        (["é", "##è"], "éè", [1, 2]),
        (["é"], "è", [UNKNOWN]),  # the first byte of two is the same
        (["a", "##a"], "a" * 100, [1, *[2] * 99]),
        (["a", "##a"], "a" * 101, [UNKNOWN]),  # BERT's limit of a word
    ],
)
def test_a_word_becomes_its_longest_tokens(
    tokens: Sequence[str], word: str, ids: Sequence[int]
) -> None:
    assert vocabulary(*tokens).word_ids(word) == ids


@given(
    st.sets(st.text("abcé", min_size=1, max_size=4), min_size=1),
    st.sets(st.text("abcé", min_size=1, max_size=3)),
    st.text("abcé", min_size=1, max_size=12),
)
def test_it_finds_what_a_search_from_the_longest_prefix_down_finds(
    first: set[str], later: set[str], word: str
) -> None:
    tokens = [*first, *(f"##{token}" for token in later)]

    def search(rest: str, known: set[str], mark: str) -> list[int] | None:
        if not rest:
            return []
        for length in range(len(rest), 0, -1):
            if rest[:length] in known:
                tail = search(rest[length:], later, "##")
                id_ = tokens.index(mark + rest[:length]) + 1
                return None if tail is None else [id_, *tail]
        return None

    expected = search(word, first, "")
    assert vocabulary(*tokens).word_ids(word) == (expected or [UNKNOWN])


@pytest.fixture(scope="module")
def both(model_dir: Path) -> tuple[WordPieces, Tokenizer]:
    library = Tokenizer.from_file(str(model_dir / "tokenizer.json"))
    library.no_padding()
    library.enable_truncation(256)
    return WordPieces(model_dir / "vocab.txt", max_tokens=256), library


@given(st.lists(st.text() | st.sampled_from(["[SEP]", "##", "nursing", "ß", "中"])))
def test_any_text_gets_the_ids_that_the_library_gives_it(
    both: tuple[WordPieces, Tokenizer], parts: list[str]
) -> None:
    ours, library = both
    text = "".join(parts)
    assert ours.ids(text) == library.encode(text).ids
