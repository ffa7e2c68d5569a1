"""Every architecture, pooling, tokenizer and prompt against sentence-transformers."""

import csv
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from app.encoder.lazy import LazyEncoder
from app.encoder.passages import PassageEncoder
from app.encoder.reference import ReferenceEncoder
from tests.integration.encoder.checkpoints import Checkpoint, build

TOLERANCE = 1e-5
ROOT = Path(__file__).parents[3]

OLD_CLS = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
OLD_MAX = {"pooling_mode_max_tokens": True, "pooling_mode_mean_tokens": False}
OLD_MEAN = {"pooling_mode_mean_tokens": True}
E5 = {"query": "query: ", "passage": "passage: "}

CHECKPOINTS = [
    Checkpoint("bert-mean"),
    Checkpoint("bert-cls", pooling=OLD_CLS, layers=3, heads=2),
    Checkpoint("bert-max", pooling=OLD_MAX, dimension=36, heads=6, normalize=False),
    Checkpoint("bert-narrow", intermediate=40, activation="relu", layers=4),
    Checkpoint("bert-twelve", layers=12, dimension=96, heads=12, intermediate=384),
    Checkpoint("bert-tanh", activation="gelu_new", normalize=False),
    Checkpoint("bert-prefixed", prefix="bert."),
    # The layout of multilingual-e5-small: BERT with XLM-RoBERTa's tokenizer.
    Checkpoint("bert-unigram", tokenizer="unigram", prompts=E5, pooling=OLD_MEAN),
    Checkpoint("xlm-mean", "xlm-roberta", "unigram", prompts=E5),
    Checkpoint(
        "xlm-cls",
        "xlm-roberta",
        "unigram",
        layers=5,
        dimension=60,
        heads=5,
        pooling={"pooling_mode": "cls"},
        normalize=False,
    ),
    Checkpoint("xlm-max", "xlm-roberta", "unigram", pooling={"pooling_mode": "max"}),
    # Beyond 362 tokens, attention is computed in blocks.
    Checkpoint("xlm-long", "xlm-roberta", "unigram", max_tokens=600, positions=700),
    Checkpoint("distilbert-mean", "distilbert", pooling=OLD_MEAN),
    Checkpoint("distilbert-cls", "distilbert", layers=3, pooling=OLD_CLS),
]

HOSTILE = [
    "",
    " \t\r\n ",
    "a",
    "Python, SQL, Docker",
    "sql " * 2000,
    "x" * 3000,
    "naïve café, e\u0301 and \u00e9",
    "\u200bpy\u200dthon\ufeff \u2060",
    "مهندس برمجيات، قواعد البيانات",
    "数据分析, 機械学習, 데이터",
    "\U0001f469\u200d\U0001f680 \U0001f44d\U0001f3fd",
    "a\x00b\x01c\x1fd\x7f\x85e",
    "[CLS] [SEP] [MASK] [PAD] [UNK]",
    "<s> </s> <mask> <unk>",
    "python <pad> sql <pad><pad> docker",  # not counted by XLM-RoBERTa's positions
    "▁python▁sql",  # the mark of a word's beginning
    "\u3000 \u2003 \u00a0sql",  # white space of other kinds
    "query: passage: query: ",
]


def column(path: Path, name: str, rows: int) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        return [row[name] for row in islice(csv.DictReader(file), rows)]


@pytest.fixture(scope="module")
def sample() -> list[str]:
    return column(ROOT / "samples" / "jobs.csv", "skills", 160)


@pytest.fixture(scope="module", params=CHECKPOINTS, ids=lambda made: made.name)
def checkpoint(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    sample: list[str],
) -> Path:
    return build(tmp_path_factory.mktemp("models"), request.param, sample)


Encode = Callable[[Sequence[str]], NDArray[np.float32]]


def unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Normalize: not every checkpoint has a Normalize module."""
    length: NDArray[np.float32] = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / length


def pairs(checkpoint: Path) -> Iterator[tuple[Encode, Encode]]:
    """Embeddings of both implementations, for queries and for passages."""
    # Imported on demand: every worker collects these tests.
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415

    ours = LazyEncoder(checkpoint, checkpoint.name)
    theirs = SentenceTransformer(str(checkpoint), device="cpu", local_files_only=True)
    yield ours.encode, lambda texts: unit(theirs.encode_query(list(texts)))
    # Not `encode_document`: sentence-transformers 6.2 adds an empty prompt "document",
    # which it then prefers to the checkpoint's "passage".
    name = "passage" if "passage" in theirs.prompts else None
    yield (
        PassageEncoder(ours).encode,
        lambda texts: unit(theirs.encode(list(texts), prompt_name=name)),
    )


@pytest.mark.timeout(600)
def test_every_text_gets_the_embedding_of_sentence_transformers(
    checkpoint: Path, sample: list[str]
) -> None:
    texts = [*HOSTILE, *sample[:40]]
    for ours, theirs in pairs(checkpoint):
        difference = np.abs(ours(texts) - theirs(texts)).max()
        assert difference < TOLERANCE


@pytest.mark.timeout(600)
def test_every_nasty_text_gets_the_embedding_of_sentence_transformers(
    checkpoint: Path, real_data: Path
) -> None:
    texts = column(real_data / "nasty_real.csv", "text", 902)
    assert len(texts) == 902
    ours, theirs = next(pairs(checkpoint))
    difference = np.abs(ours(texts) - theirs(texts)).max()
    print(f"{checkpoint.name}: at most {difference:.1e} apart")
    assert difference < TOLERANCE


def test_the_reference_encoder_reads_the_same_prompts(
    checkpoint: Path, sample: list[str]
) -> None:
    ours = LazyEncoder(checkpoint, checkpoint.name)
    theirs = ReferenceEncoder(checkpoint, "cpu", name=checkpoint.name)
    assert theirs.dimension == ours.dimension
    assert theirs.version == ours.version == checkpoint.name
    texts = sample[:20]
    np.testing.assert_allclose(ours.encode(texts), theirs.encode(texts), atol=TOLERANCE)
    np.testing.assert_allclose(
        PassageEncoder(ours).encode(texts),
        PassageEncoder(theirs).encode(texts),
        atol=TOLERANCE,
    )


def test_a_text_encoded_deterministically_has_the_same_bits_in_any_batch(
    checkpoint: Path,
) -> None:
    encoder = LazyEncoder(checkpoint, checkpoint.name)
    together = encoder.encode_deterministic(HOSTILE)
    alone = [encoder.encode_deterministic([text]) for text in HOSTILE]
    np.testing.assert_array_equal(together, np.concatenate(alone))


def test_prompts_tell_queries_and_passages_apart(
    tmp_path: Path, sample: list[str]
) -> None:
    made = Checkpoint("prompted", prompts=E5 | {"document": ""})
    encoder = LazyEncoder(build(tmp_path, made, sample), made.name)
    text = sample[0]
    plain = LazyEncoder(build(tmp_path, Checkpoint("plain"), sample), "plain")
    assert (
        plain.encode([text]).tobytes() == PassageEncoder(plain).encode([text]).tobytes()
    )
    query, passage = encoder.encode([text]), PassageEncoder(encoder).encode([text])
    assert np.abs(query - passage).max() > 1e-3
