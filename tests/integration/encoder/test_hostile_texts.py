"""Real hostile texts against sentence-transformers. Set REAL_DATA_DIR; CI does.

`tests/acceptance/test_oracle.py` compares the embeddings of the real postings.
"""

import csv
from pathlib import Path

import numpy as np
import pytest

from app.encoder.lazy import LazyEncoder
from tests.support.oracle import MODEL_DIR, TOLERANCE, oracle_embeddings


@pytest.mark.timeout(900)
def test_every_hostile_text_gets_the_embedding_of_sentence_transformers(
    real_data: Path,
) -> None:
    with (real_data / "nasty_real.csv").open(encoding="utf-8", newline="") as file:
        texts = [row["text"] for row in csv.DictReader(file)]
    assert len(texts) > 900
    ours = LazyEncoder(MODEL_DIR).encode(texts)
    difference = np.abs(ours - oracle_embeddings(texts)).max()
    print(f"\n{len(texts)} texts, at most {difference:.1e} apart")
    assert difference < TOLERANCE
