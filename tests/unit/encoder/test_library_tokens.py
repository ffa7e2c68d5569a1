"""`app.encoder.library_tokens` compared with the library on whole texts."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from tokenizers.pre_tokenizers import PreTokenizer

from app.encoder.layout import UnsupportedModelError
from app.encoder.library_tokens import LibraryTokens
from app.errors import ModelUnavailableError

MAX_TOKENS = 256
PIECES = ["▁", "▁sql", "▁py", "thon", "a", "b", "é", "中", "▁a", "ab", "<mask>"]


def unigram(splitter: PreTokenizer) -> Tokenizer:
    scores = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    scores += [(piece, -1.0 - n / 7) for n, piece in enumerate(PIECES)]
    tokenizer = Tokenizer(models.Unigram(scores, unk_id=3))
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    tokenizer.pre_tokenizer = splitter
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer


def words(prepend_scheme: str = "always") -> PreTokenizer:
    metaspace = pre_tokenizers.Metaspace(prepend_scheme=prepend_scheme)
    return pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), metaspace])


@pytest.fixture(scope="module")
def both(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[LibraryTokens, Tokenizer]:
    path = tmp_path_factory.mktemp("unigram") / "tokenizer.json"
    whole = unigram(words())
    whole.save(str(path))
    whole.enable_truncation(MAX_TOKENS)
    return LibraryTokens(path, max_tokens=MAX_TOKENS), whole


@pytest.fixture(scope="module")
def bert(model_dir: Path) -> tuple[LibraryTokens, Tokenizer]:
    """MiniLM's tokenizer in the layout of another checkpoint."""
    path = model_dir / "tokenizer.json"
    whole = Tokenizer.from_file(str(path))
    whole.no_padding()
    whole.enable_truncation(MAX_TOKENS)
    return LibraryTokens(path, max_tokens=MAX_TOKENS), whole


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \t\n\r ",
        "python sql",
        "sql " * 253,  # one short of the limit
        "sql " * 254,  # 256 with the special tokens
        "sql " * 255,  # one is cut off
        "sql " * 50_000,  # many pieces
        ("sql" + " " * 200) * 400,
        " " * 100_000 + "python",  # nothing but white space in the first pieces
        "a" * 2047 + " sql",  # a word up to the end of a piece
        "a" * 2048 + " sql",
        "ab" * 30_000 + " sql",  # a word that makes its piece longer
        "\u3000 \u2003 \u00a0sql",  # white space of other kinds
        "</s> <mask>python<pad>",  # special tokens written out
        "中" * 3000,
        "\x00\x01",
    ],
)
def test_the_ids_are_those_of_the_whole_text_truncated(
    both: tuple[LibraryTokens, Tokenizer],
    bert: tuple[LibraryTokens, Tokenizer],
    text: str,
) -> None:
    for ours, whole in (both, bert):
        assert ours.ids(text) == whole.encode(text).ids


@given(
    st.lists(st.text() | st.sampled_from(["<mask>", "▁", "sql", "\u2003", "python"]))
)
def test_any_text_gets_the_ids_that_the_library_gives_it(
    both: tuple[LibraryTokens, Tokenizer], parts: list[str]
) -> None:
    ours, whole = both
    text = " ".join(parts)
    assert ours.ids(text) == whole.encode(text).ids


def test_halves_of_surrogate_pairs_are_replaced(
    both: tuple[LibraryTokens, Tokenizer],
) -> None:
    ours, _ = both
    assert ours.ids("py\ud800thon") == ours.ids("py\ufffdthon")


@pytest.mark.parametrize(
    ("splitter", "sentence"),
    [
        (
            pre_tokenizers.ByteLevel(),
            "A tokenizer that splits by ByteLevel is not supported.",
        ),
        (
            pre_tokenizers.Metaspace(),  # as T5's: two spaces are not one
            "A tokenizer that splits by Metaspace is not supported.",
        ),
        (
            words("first"),
            "A tokenizer that marks only the first word is not supported.",
        ),
        (None, "A tokenizer that splits by None is not supported."),
    ],
)
def test_a_tokenizer_that_needs_the_whole_text_is_refused(
    tmp_path: Path, splitter: PreTokenizer | None, sentence: str
) -> None:
    path = tmp_path / "tokenizer.json"
    unigram(splitter).save(str(path))  # type: ignore[arg-type]
    with pytest.raises(UnsupportedModelError) as caught:
        LibraryTokens(path, max_tokens=MAX_TOKENS)
    assert str(caught.value) == sentence


@pytest.mark.parametrize("content", [None, b"", b"{}", b"\xff"])
def test_a_file_that_is_no_tokenizer_is_refused(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "tokenizer.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelUnavailableError) as caught:
        LibraryTokens(path, max_tokens=MAX_TOKENS)
    assert (
        str(caught.value)
        == f"{path} cannot be read: run `python scripts/fetch_model.py`."
    )
