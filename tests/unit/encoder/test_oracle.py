"""`tests.support.oracle`: cached embeddings equal those of sentence-transformers."""

from pathlib import Path

import numpy as np

from app.encoder.reference import ReferenceEncoder
from tests.support.oracle import oracle_embeddings


def test_kept_embeddings_are_those_of_the_reference(
    reference: ReferenceEncoder, tmp_path: Path
) -> None:
    texts = ["welding", "dementia care", "welding"]
    made = oracle_embeddings(texts, folder=tmp_path)
    np.testing.assert_array_equal(made, reference.encode(texts))
    np.testing.assert_array_equal(oracle_embeddings(texts, folder=tmp_path), made)
    (kept,) = tmp_path.iterdir()
    np.save(kept, made[::-1])
    np.testing.assert_array_equal(oracle_embeddings(texts, folder=tmp_path), made[::-1])


def test_other_texts_or_another_order_are_made_anew(
    reference: ReferenceEncoder, tmp_path: Path
) -> None:
    for texts in (["a", "b"], ["b", "a"], ["a", "b", ""], ["ab"]):
        made = oracle_embeddings(texts, folder=tmp_path)
        np.testing.assert_array_equal(made, reference.encode(texts))
    assert len(list(tmp_path.iterdir())) == 4
