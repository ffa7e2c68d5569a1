"""Process set-up: usable processors, BLAS threads, memory allocator."""

import ctypes
import errno
import gc
import math
import os
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel

from app.errors import ConfigError

# cgroup v2 has "quota period" in one file, v1 one file for each; all in microseconds.
CPU_MAX = Path("/sys/fs/cgroup/cpu.max")
CFS_QUOTA = Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")
CFS_PERIOD = Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us")

# malloc.h
M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
M_ARENA_MAX = -8

# Between the encoder's blocks, which are smaller, and scan buffers, which are larger.
LARGE_BYTES = 512 * 1024
TRIM_BYTES = 128 * 1024


def available_cpus() -> int:
    """The number of processors this process may use, at least 1.

    In a container with a quota of half a processor on a machine with sixteen,
    `os.cpu_count` returns sixteen, and BLAS would start sixteen threads that wait for
    one another.
    """
    # macOS has no processor affinity.
    affinity = getattr(os, "sched_getaffinity", None)
    allowed = len(affinity(0)) if affinity else os.cpu_count() or 1
    quota = _cpu_quota()
    return allowed if quota is None else max(1, min(allowed, math.floor(quota)))


def check_address(host: str, port: int) -> None:
    """Raises ConfigError if no server can listen there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        # Like the server itself: ignore connections in TIME_WAIT.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        # A host name that no encoding has is a TypeError.
        except (OSError, TypeError) as error:
            reason = getattr(error, "strerror", None) or "it is no host name"
            if getattr(error, "errno", None) in (errno.EADDRINUSE, errno.EACCES):
                raise ConfigError(
                    f"Port {port} on {host} is not available ({reason}); set PORT to"
                    " another one."
                ) from None
            raise ConfigError(
                f"HOST {host} is not an address of this machine ({reason}); set it to"
                " one, for example 127.0.0.1 or 0.0.0.0."
            ) from None


def prepare_process(*, blas_threads: int) -> None:
    """Set the options that OpenBLAS, the tokenizer and malloc read once.

    Call it before NumPy is imported: OpenBLAS starts its threads on load.
    """
    os.environ["OPENBLAS_NUM_THREADS"] = str(blas_threads)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    configure_malloc()


def configure_malloc() -> None:
    """Configure glibc to return freed memory; do nothing with another libc.

    By default each thread gets its own arena, and no thread reuses memory that another
    freed: here all threads share two. Also, after the first free of a large block glibc
    raises its mmap threshold and takes the next ones from the heap, where a small block
    above them prevents their return. Together this saves 2.5 MB.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_ARENA_MAX, 2)
        mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
        mallopt(M_TRIM_THRESHOLD, TRIM_BYTES)


def trim_malloc() -> None:
    """Return the free memory inside glibc's heaps, after a large piece of work."""
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
    """Build Pydantic's validators on first use, and pause garbage collection.

    Wrapped around the imports and set-up of the service it saves a seventh of the
    start: FastAPI has many validators that only the OpenAPI document needs. Objects
    alive at the end are frozen: the collector never visits them again.
    """
    BaseModel.model_config["defer_build"] = True
    # Pydantic warns of FastAPI's own body field when it builds that later.
    warnings.filterwarnings(
        "ignore", "The 'alias' attribute with value", module="pydantic"
    )
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
        del BaseModel.model_config["defer_build"]
