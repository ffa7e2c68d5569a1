"""`generate_embeddings.py` as a real process, with the real model."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.support.postgres import run
from tests.support.script import WITHIN_S, Process, finished, started
from tests.support.service import ROOT
from tests.support.waiting import wait_until

MODEL_DIR = ROOT / "models" / "all-MiniLM-L6-v2"

# One BLAS thread: on a busy machine several wait for one another.
ENVIRONMENT = {"MODEL_DIR": str(MODEL_DIR), "OPENBLAS_NUM_THREADS": "1"}


@contextmanager
def script(url: str, *arguments: str) -> Iterator[Process]:
    """Start it; kill it at the end if it still runs."""
    environment = ENVIRONMENT | {"DATABASE_URL": url}
    with started("generate_embeddings.py", *arguments, **environment) as process:
        yield process


def finish(url: str, *arguments: str) -> tuple[int, str, str]:
    """Run it. Returns its exit status, output and errors."""
    with script(url, *arguments) as process:
        return finished(process)


def until(condition: Callable[[], bool], *, within_s: float = WITHIN_S) -> None:
    """Wait until the condition holds. Raises after a while."""
    wait_until(condition, within_s=within_s)


def count_embedded(url: str) -> int:
    count: int = run(url, "SELECT count(embedding) FROM skill_job1")[0][0]
    return count
