"""Embeddings by sentence-transformers, cached for all test runs.

Those of 5,000 texts take a minute. The file's name depends on everything that affects
the embeddings; `make clean` removes the files.
"""

import hashlib
import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.encoder.checkpoint import MINILM
from app.encoder.reference import ReferenceEncoder
from app.encoder.tokens import WordPieces
from tests.support.service import ROOT

MODEL_DIR = ROOT / "models" / "all-MiniLM-L6-v2"
KEPT_IN = ROOT / ".data" / "oracle"
# The largest difference between a number of ours and one of sentence-transformers.
TOLERANCE = 1e-5
BATCH_SIZE = 32
LIBRARIES = ("sentence-transformers", "transformers", "torch", "numpy")


def oracle_embeddings(
    texts: Sequence[str], *, folder: Path = KEPT_IN
) -> NDArray[np.float32]:
    """(n, 384) float32, unit length; read from `folder` if cached."""
    file = folder / f"{_key(texts)}.npy"
    if not file.exists():
        embeddings = _encode(texts)
        folder.mkdir(parents=True, exist_ok=True)
        # A run that is interrupted here must not leave a partial file.
        unfinished = file.with_suffix(".tmp.npy")
        np.save(unfinished, embeddings)
        unfinished.replace(file)
    kept: NDArray[np.float32] = np.load(file)
    return kept


def _encode(texts: Sequence[str]) -> NDArray[np.float32]:
    """In batches of texts with about as many tokens each.

    sentence-transformers pads a batch to its longest text, and sorts texts by their
    characters: of the real postings' tokens 38 % would be padding.
    """
    tokens = WordPieces(MODEL_DIR / "vocab.txt", max_tokens=MINILM.max_tokens)
    counts = [len(tokens.ids(text)) for text in texts]
    order = np.argsort(counts, kind="stable").tolist()
    encoder = ReferenceEncoder(MODEL_DIR, device="cpu")
    embeddings = np.empty((len(texts), MINILM.dimension), np.float32)
    for start in range(0, len(texts), BATCH_SIZE):
        batch = order[start : start + BATCH_SIZE]
        embeddings[batch] = encoder.encode([texts[n] for n in batch])
    return embeddings


def _key(texts: Sequence[str]) -> str:
    """A hash of the texts in order, the model's files and the libraries' versions."""
    versions = [version(library) for library in LIBRARIES]
    made_of = json.dumps([list(texts), MINILM.files, versions])
    return hashlib.sha256(made_of.encode()).hexdigest()[:32]
