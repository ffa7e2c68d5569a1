"""`app.encoder.tokens` against the tokenizer's own truncation, in bounded memory."""

import subprocess
import sys
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from app.encoder.tokens import WordPieces
from app.errors import ModelUnavailableError

MAX_TOKENS = 256
CLS, UNK, SEP = 101, 100, 102

# Prints the peak memory of a process that has only tokenized this text.
MEASURE = """
import sys
from pathlib import Path
from app.encoder.tokens import WordPieces

def peak_kb():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

word_pieces = WordPieces(Path(sys.argv[1]), max_tokens=256)
text = eval(sys.argv[2])
before = peak_kb()
word_pieces.ids(text)
print(peak_kb() - before)
"""


@pytest.fixture(scope="module")
def path(model_dir: Path) -> Path:
    return model_dir / "vocab.txt"


@pytest.fixture(scope="module")
def word_pieces(path: Path) -> WordPieces:
    return WordPieces(path, max_tokens=MAX_TOKENS)


@pytest.fixture(scope="module")
def whole(model_dir: Path) -> Tokenizer:
    """The tokenizer as sentence-transformers sets it up."""
    tokenizer = Tokenizer.from_file(str(model_dir / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    return tokenizer


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \t\n\r ",
        "Python, SQL & machine-learning",
        "word " * 253,  # one short of the limit
        "word " * 254,  # 256 with [CLS] and [SEP]
        "word " * 255,  # one is cut off
        "word " * 50_000,  # many pieces
        ("word" + " " * 200) * 400,  # ten words in a piece: it takes 26 pieces
        " " * 100_000 + "python",  # nothing but white space in the first pieces
        "\n" * 2048 + "sql",  # white space up to the end of a piece
        "a" * 2047 + " sql",  # a word up to the end of a piece
        "a" * 2048 + " sql",
        "a" * 2049 + " sql",
        "a" * 60_000 + " sql",  # a word that makes its piece longer
        "x" * 2040 + " [SEP] [MASK]",  # special tokens written out
        "x" * 2044 + "[SEP] y",
        "e\u0301" * 3000 + " sql",  # combining marks
        "a\x0bb\x1cc\x85d " * 900,  # control characters that are no white space
        "\u3000 \u2003 \u00a0" * 2000 + "sql",  # white space of other kinds
        "\u200b\u200d" * 3000 + " sql",  # zero width
        "数据分析" * 2000,  # every character is a word
        "\U0001f469\u200d\U0001f680" * 2000,
        "مهندس برمجيات " * 500,
        "İSTANBUL ẞ ﬁ Ⅳ" * 300,  # lower case and decomposition change the length
    ],
)
def test_the_ids_are_those_of_the_whole_text_truncated(
    word_pieces: WordPieces, whole: Tokenizer, text: str
) -> None:
    assert word_pieces.ids(text) == whole.encode(text).ids


def test_a_run_longer_than_67584_characters_is_cut_inside(
    word_pieces: WordPieces,
) -> None:
    # Exact tokenization gives one unknown word. Bounded memory is worth the second
    # token.
    assert word_pieces.ids("a" * 67_585) == [CLS, UNK, word_pieces.ids("a")[1], SEP]


@pytest.mark.parametrize(
    ("text", "same_as"),
    [
        ("py\ud800thon", "python"),  # half a pair alone is dropped
        ("\udc00", ""),
        ("\ud83d\ude00 sql", "\U0001f600 sql"),  # two halves that belong together
    ],
)
def test_halves_of_surrogate_pairs_are_joined_or_dropped(
    word_pieces: WordPieces, text: str, same_as: str
) -> None:
    assert word_pieces.ids(text) == word_pieces.ids(same_as)


@pytest.mark.parametrize(
    "text",
    [
        "'a ' * 5_000_000",
        "' ' * 10_000_000",
        "'a' * 10_000_000",
        "'\\u0301' * 5_000_000",  # all dropped: the whole text is read
    ],
)
def test_ten_megabytes_of_text_take_less_than_thirty_to_tokenize(
    path: Path, text: str
) -> None:
    run = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path), text],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(run.stdout) < 30_000  # kB; at once it takes 2 to 4 GB


@pytest.mark.parametrize("content", [None, b"", b"{}", b"\n" * 65_537])
def test_a_file_that_is_no_vocabulary_is_refused(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "vocab.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelUnavailableError) as caught:
        WordPieces(path, max_tokens=MAX_TOKENS)
    assert (
        str(caught.value)
        == f"{path} cannot be read: run `python scripts/fetch_model.py`."
    )
