"""Kernel limits for a process: memory with the page cache, and CPU.

Works with cgroup v2 and v1 if the hierarchy is writable (root, or a delegated subtree).
A limit includes anonymous memory and the page cache of the process.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
PERIOD_US = 100_000


class NoCgroupError(Exception):
    """No writable cgroup hierarchy."""


@dataclass(frozen=True)
class Cgroup:
    """The folders of one group: one in v2, one per controller in v1."""

    memory: Path
    cpu: Path
    is_v2: bool

    def add(self, pid: int) -> None:
        """Move a process into the group; its later use counts."""
        for folder in {self.memory, self.cpu}:
            (folder / "cgroup.procs").write_text(str(pid))

    def peak_bytes(self) -> int:
        """The peak of charged memory."""
        name = "memory.peak" if self.is_v2 else "memory.max_usage_in_bytes"
        return int((self.memory / name).read_text())

    def oom_kills(self) -> int:
        """The number of kills because of the limit."""
        name = "memory.events" if self.is_v2 else "memory.oom_control"
        return _counter(self.memory / name, "oom_kill")

    def major_faults(self) -> int:
        """The number of page faults that read from disk."""
        return _counter(self.memory / "memory.stat", "pgmajfault")


@contextmanager
def limited(
    name: str, *, memory_bytes: int | None = None, cpus: float | None = None
) -> Iterator[Cgroup]:
    """A new group with these limits, removed at the end.

    Raises NoCgroupError if none can be created.
    """
    group = _make(name)
    try:
        _limit(group, memory_bytes, cpus)
        yield group
    finally:
        for folder in {group.memory, group.cpu}:
            # OSError: a process is still in it; the kernel removes neither then.
            with suppress(OSError):
                folder.rmdir()


def drop_caches() -> bool:
    """Empty the kernel's page cache, so that its use is charged again; root only."""
    os.sync()
    try:
        Path("/proc/sys/vm/drop_caches").write_text("3")
    except OSError:
        return False
    return True


def _make(name: str) -> Cgroup:
    is_v2 = (ROOT / "cgroup.controllers").exists()
    memory = ROOT / name if is_v2 else ROOT / "memory" / name
    cpu = memory if is_v2 else ROOT / "cpu" / name
    try:
        if is_v2:
            (ROOT / "cgroup.subtree_control").write_text("+memory +cpu")
        for folder in {memory, cpu}:
            folder.mkdir(exist_ok=True)
    except OSError as error:
        raise NoCgroupError(f"No cgroup can be made under {ROOT}: {error}") from error
    return Cgroup(memory, cpu, is_v2)


def _limit(group: Cgroup, memory_bytes: int | None, cpus: float | None) -> None:
    if memory_bytes is not None:
        name = "memory.max" if group.is_v2 else "memory.limit_in_bytes"
        (group.memory / name).write_text(str(memory_bytes))
    if cpus is not None and group.is_v2:
        (group.cpu / "cpu.max").write_text(f"{int(cpus * PERIOD_US)} {PERIOD_US}")
    elif cpus is not None:
        (group.cpu / "cpu.cfs_period_us").write_text(str(PERIOD_US))
        (group.cpu / "cpu.cfs_quota_us").write_text(str(int(cpus * PERIOD_US)))


def _counter(file: Path, name: str) -> int:
    for line in file.read_text().splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return int(value)
    return 0
