"""Real and hostile texts against sentence-transformers. Set REAL_DATA_DIR; CI does."""

import csv
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from app.encoder.lazy import LazyEncoder
from tests.support.oracle import MODEL_DIR, oracle_embeddings

TOLERANCE = 1e-5


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("name", "column", "rows"),
    [("nasty_real.csv", "text", 902), ("jobs_real.csv", "skills", 2000)],
)
def test_every_real_text_gets_the_embedding_of_sentence_transformers(
    real_data: Path,
    name: str,
    column: str,
    rows: int,
) -> None:
    with (real_data / name).open(encoding="utf-8", newline="") as file:
        texts = [row[column] for row in islice(csv.DictReader(file), rows)]
    assert len(texts) == rows
    ours = LazyEncoder(MODEL_DIR).encode(texts)
    difference = np.abs(ours - oracle_embeddings(texts)).max()
    print(f"{name}: {rows} texts, at most {difference:.1e} apart")
    assert difference < TOLERANCE
