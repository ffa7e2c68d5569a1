"""F121: on macOS every module can be imported; there what only Linux has is missing."""

import os
import subprocess
import sys

from tests.support.service import ROOT

# What Python's documentation calls available on Linux and not on macOS.
LINUX_ONLY = {
    "os": (
        "sched_getaffinity sched_setaffinity sched_setscheduler sched_getscheduler"
        " sched_setparam sched_getparam posix_fadvise posix_fallocate fdatasync"
        " memfd_create eventfd eventfd_read eventfd_write pidfd_open copy_file_range"
        " splice getrandom getresuid setresuid getresgid setresgid setns unshare"
        " getxattr setxattr listxattr removexattr pipe2 O_DIRECT O_TMPFILE O_PATH"
        " O_NOATIME O_LARGEFILE SCHED_BATCH SCHED_IDLE POSIX_FADV_RANDOM"
        " POSIX_FADV_SEQUENTIAL POSIX_FADV_WILLNEED POSIX_FADV_DONTNEED GRND_NONBLOCK"
    ),
    "select": "epoll EPOLLIN EPOLLOUT EPOLLRDHUP EPOLL_CLOEXEC",
    "socket": (
        "AF_NETLINK AF_PACKET AF_VSOCK TCP_USER_TIMEOUT TCP_KEEPIDLE TCP_CORK"
        " TCP_DEFER_ACCEPT TCP_QUICKACK SO_PEERCRED SO_BINDTODEVICE SO_MARK"
        " SO_INCOMING_CPU MSG_NOSIGNAL SOCK_CLOEXEC SOCK_NONBLOCK"
    ),
    "signal": (
        "SIGPWR SIGSTKFLT SIGPOLL SIGRTMIN SIGRTMAX SIGCLD sigtimedwait sigwaitinfo"
        " pidfd_send_signal"
    ),
    "mmap": (
        "MAP_POPULATE MAP_STACK MADV_HUGEPAGE MADV_NOHUGEPAGE MADV_DONTFORK MADV_REMOVE"
        " MADV_MERGEABLE MADV_DODUMP MADV_POPULATE_READ"
    ),
    "resource": "prlimit RLIMIT_NICE RLIMIT_RTPRIO RLIMIT_MSGQUEUE RUSAGE_THREAD",
    "time": "CLOCK_BOOTTIME CLOCK_TAI pthread_getcpuclockid",
    "fcntl": "F_SETPIPE_SZ F_GETPIPE_SZ F_ADD_SEALS F_NOTIFY LOCK_MAND",
}

# psutil chooses its module by the platform, so it comes before the names go.
# libc there has none of glibc's; `ctypes.CDLL(None)` finds the process's own.
IMPORT_ALL = """
import ctypes, importlib, pathlib, psutil, sys

class Libc(ctypes.CDLL):
    def __getattr__(self, name):
        if name in ("mallopt", "malloc_trim", "prctl", "sched_getcpu", "gettid"):
            raise AttributeError(name)
        return super().__getattr__(name)

ctypes.CDLL = Libc
for module, names in LINUX_ONLY.items():
    loaded = importlib.import_module(module)
    for name in names.split():
        vars(loaded).pop(name, None)
open_of_path = pathlib.Path.open
def no_proc(path, *args, **kwargs):
    if str(path).startswith(("/proc", "/sys/fs")):
        raise FileNotFoundError(path)
    return open_of_path(path, *args, **kwargs)
pathlib.Path.open = no_proc
sys.path.insert(0, "scripts")
for name in MODULES:
    importlib.import_module(name)
print(len(MODULES))
"""


def modules() -> list[str]:
    """Every module of `app` and `scripts`, but not those that run when imported."""
    found = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in sorted((ROOT / "app").rglob("*.py"))
        if path.name != "__main__.py"
    ]
    scripts = [
        path.stem
        for path in sorted((ROOT / "scripts").glob("*.py"))
        if "\nrun(" not in path.read_text()
    ]
    return [name.removesuffix(".__init__") for name in found] + scripts


def imported() -> subprocess.CompletedProcess[str]:
    given = f"LINUX_ONLY = {LINUX_ONLY!r}\nMODULES = {modules()!r}\n"
    return subprocess.run(
        [sys.executable, "-c", given + IMPORT_ALL],
        cwd=ROOT,
        # `app.main` builds the service; it connects to nothing.
        env=os.environ | {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_f121_every_module_can_be_imported_without_what_only_linux_has() -> None:
    done = imported()
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == len(modules()) > 100
