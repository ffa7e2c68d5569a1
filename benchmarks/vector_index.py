"""pgvector's vectors and index for a table of a benchmark."""

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import closing

from app.backfill.vectors import VectorFilling
from app.storage.connection.database import Database
from benchmarks.servers import ROOT


def fill_vectors(url: str) -> int:
    """Make the vectors of stored embeddings. Returns their number."""
    with closing(Database(url, pool_size=1)) as database:
        filling = VectorFilling(
            database, version="all-MiniLM-L6-v2", stop=threading.Event()
        )
        return sum(filling.run())


def build_index(url: str, options: Sequence[str] = ()) -> None:
    """Run `scripts/build_vector_index.py`; what is built takes no time."""
    subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "build_vector_index.py"), *options],
        env=os.environ | {"DATABASE_URL": url},
        check=True,
    )
