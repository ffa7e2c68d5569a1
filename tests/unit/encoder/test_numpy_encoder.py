"""The encoder against sentence-transformers, text by text and packed."""

from pathlib import Path

import numpy as np
import pytest

from app.encoder.lazy import DeterministicEncoder, LazyEncoder
from app.encoder.numpy_encoder import NumpyEncoder
from app.encoder.reference import ReferenceEncoder
from app.encoder.spec import MINILM_SPEC
from app.encoder.tokens import WordPieces

TOLERANCE = 1e-6

EDGE_TEXTS = [
    "",
    " ",
    "\t\r\n",
    "a",
    "true",
    "Python, SQL, Docker",
    "Java " * 254,  # exactly 256 tokens
    "C++ / C# / .NET; R&D; 100% remote!!! ???",
    "naïve café, Zoë, e\u0301 and \u00e9",  # composed and combining
    "z\u0335a\u0322l\u0337g\u0321o\u0336 " * 20,
    "\u200bpy\u200dthon\ufeff \u2060",  # zero width
    "مهندس برمجيات، قواعد البيانات",  # right to left
    "\u202eesrever\u202c \u05e2\u05d1\u05e8\u05d9\u05ea",
    "数据分析, 機械学習, 데이터",
    "программист, бухгалтерский учёт",
    "\U0001f469\u200d\U0001f680 \U0001f1eb\U0001f1f7 \U0001f44d\U0001f3fd",
    "a\x00b\x01c\x1fd\x7f\x85e",  # control characters
    "<script>alert('x')</script> OR 1=1; --",
    "[CLS] [SEP] [MASK] [PAD] [UNK]",
    "x" * 101,  # longer than a word may be: unknown
    "supercalifragilisticexpialidocious" * 2,
    "very long " * 5000,  # truncated at 256 tokens
    "\ufffd\ufffe\uffff\U0010ffff",
]


@pytest.mark.parametrize("text", EDGE_TEXTS)
def test_a_text_gets_the_embedding_of_sentence_transformers(
    encoder: LazyEncoder, reference: ReferenceEncoder, text: str
) -> None:
    expected = reference.encode([text])
    np.testing.assert_allclose(encoder.encode([text]), expected, atol=TOLERANCE, rtol=0)


def test_texts_packed_together_get_the_embeddings_they_have_alone(
    encoder: LazyEncoder,
) -> None:
    alone = np.concatenate([encoder.encode([text]) for text in EDGE_TEXTS])
    np.testing.assert_allclose(encoder.encode(EDGE_TEXTS), alone, atol=5e-7, rtol=0)


def test_the_same_call_gives_the_same_bytes(encoder: LazyEncoder) -> None:
    first = encoder.encode(EDGE_TEXTS)
    encoder.encode(["something", "else " * 300])
    assert encoder.encode(EDGE_TEXTS).tobytes() == first.tobytes()


def test_embeddings_are_float32_rows_of_unit_length(encoder: LazyEncoder) -> None:
    embeddings = encoder.encode(EDGE_TEXTS)
    assert embeddings.shape == (len(EDGE_TEXTS), 384)
    assert embeddings.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-6)


def test_no_texts_give_no_rows(encoder: LazyEncoder) -> None:
    embeddings = encoder.encode([])
    assert embeddings.shape == (0, 384)
    assert embeddings.dtype == np.float32


def test_an_earlier_result_is_not_overwritten_by_the_next(
    encoder: LazyEncoder,
) -> None:
    first = encoder.encode(["python"])
    before = first.copy()
    encoder.encode(["sql"])
    np.testing.assert_array_equal(first, before)


def test_a_pack_is_never_larger_than_its_limit(model_dir: Path) -> None:
    encoder = NumpyEncoder(
        model_dir / "model.safetensors",
        WordPieces(model_dir / "vocab.txt", max_tokens=256),
        MINILM_SPEC,
        version="test",
    )
    texts = ["word " * n for n in (300, 1, 100, 100, 51, 52, 254, 0)]
    packs = list(encoder._packs(texts, 256))
    # [CLS] and [SEP] come to each text: 102 + 102 + 53 is one too many.
    assert [[len(ids) for ids in pack] for pack in packs] == [
        [256],
        [3, 102, 102],
        [53, 54],
        [256],
        [2],
    ]


@pytest.mark.parametrize("seed", range(3))
def test_a_text_encoded_deterministically_has_the_same_bits_in_any_batch(
    encoder: LazyEncoder, seed: int
) -> None:
    # More tokens than one sweep takes, in another order each time.
    texts = [*EDGE_TEXTS, *("skill " * n for n in (250, 250, 249, 7, 30))]
    order = np.random.default_rng(seed).permutation(len(texts))
    together = DeterministicEncoder(encoder).encode([texts[n] for n in order])
    alone = np.concatenate([encoder.encode([texts[n]]) for n in order])
    np.testing.assert_array_equal(together, alone)
