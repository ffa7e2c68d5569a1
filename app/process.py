"""What the host allows: processors under a container's quota, allocator behaviour."""

import ctypes
import gc
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel

# cgroup v2 writes "quota period", v1 has a file for each; both in microseconds.
CPU_MAX = Path("/sys/fs/cgroup/cpu.max")
CFS_QUOTA = Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")
CFS_PERIOD = Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us")

# malloc.h
M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
M_ARENA_MAX = -8

# Scan buffers and parsed files are larger, the encoder's blocks smaller.
LARGE_BYTES = 512 * 1024
TRIM_BYTES = 128 * 1024


def available_cpus() -> int:
    """Processors that this process may keep busy, at least 1.

    A quota of half a processor on a machine of sixteen shows sixteen to everyone
    who counts them; BLAS would start sixteen threads that wait for one another.
    """
    # macOS pins no process to processors.
    affinity = getattr(os, "sched_getaffinity", None)
    allowed = len(affinity(0)) if affinity else os.cpu_count() or 1
    quota = _cpu_quota()
    return allowed if quota is None else max(1, min(allowed, math.floor(quota)))


def prepare_process(*, blas_threads: int) -> None:
    """Set what OpenBLAS, the tokenizer and malloc read once.

    Call it before NumPy is imported: OpenBLAS starts its threads when it is loaded.
    """
    os.environ["OPENBLAS_NUM_THREADS"] = str(blas_threads)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    configure_malloc()


def configure_malloc() -> None:
    """Have glibc give memory back; elsewhere do nothing.

    Each thread would otherwise get a heap of its own, and what one frees no other
    reuses: they share two. And once a large block was freed, glibc would keep the next
    ones on the heap, where a small one above holds them for ever: 2.5 MB in all.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_ARENA_MAX, 2)
        mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
        mallopt(M_TRIM_THRESHOLD, TRIM_BYTES)


def trim_malloc() -> None:
    """Have glibc return what a large piece of work left free inside its heaps."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _cpu_quota() -> float | None:
    for read in (_quota_v2, _quota_v1):
        try:
            return read()
        except (OSError, ValueError):
            continue
    return None


def _quota_v2() -> float | None:
    quota, period = CPU_MAX.read_text().split()
    return None if quota == "max" else int(quota) / int(period)


def _quota_v1() -> float | None:
    quota = int(CFS_QUOTA.read_text())
    return None if quota < 0 else quota / int(CFS_PERIOD.read_text())


@contextmanager
def defer_model_build() -> Iterator[None]:
    """For the imports and the wiring of the service: a seventh of the start.

    Validators are built when they are first used; FastAPI has many that only the
    OpenAPI document needs. What is alive at the end stays: the collector neither looks
    for garbage meanwhile nor walks through it later.
    """
    BaseModel.model_config["defer_build"] = True
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
        del BaseModel.model_config["defer_build"]
