"""The pinned checkpoint and the oracle; `make test` has downloaded the files."""

from pathlib import Path

import pytest

from app.encoder.lazy import LazyEncoder
from app.encoder.reference import ReferenceEncoder

MODEL_DIR = Path(__file__).parents[3] / "models" / "all-MiniLM-L6-v2"


@pytest.fixture(scope="session")
def model_dir() -> Path:
    return MODEL_DIR


@pytest.fixture(scope="session")
def encoder(model_dir: Path) -> LazyEncoder:
    return LazyEncoder(model_dir)


@pytest.fixture(scope="session")
def reference(model_dir: Path) -> ReferenceEncoder:
    return ReferenceEncoder(model_dir, device="cpu")
