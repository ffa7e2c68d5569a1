"""Run tasks on a Dask cluster and take their results in order; docs/cluster.md.

Only commands with `--scheduler` import Dask.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from app import __version__
from app.errors import AppError, ConfigError
from app.query.numbers import counted

if TYPE_CHECKING:
    from distributed import Client, Future

SCHEDULER_TIMEOUT_S = 10.0
WORKERS_WITHIN_S = 30.0
# How long a result is waited for before the workers are counted: without any, it would
# never come.
COUNTED_EVERY_S = 5.0
# Tasks per thread of the workers that wait or run: no thread waits for the next task,
# and few results wait for an earlier one.
TASKS_PER_THREAD = 2

Task = TypeVar("Task")
TaskResult = TypeVar("TaskResult")


def add_scheduler(add_argument: Callable[..., object]) -> None:
    """Add the option `--scheduler` by the method of a parser or of a group."""
    add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="share the work among the workers of a Dask scheduler, for example"
        " tcp://10.0.0.5:8786; needs the extra scale",
    )


class Cluster:
    """The workers of one Dask scheduler. Workers may join and leave at any time."""

    def __init__(self, client: "Client", address: str) -> None:
        self._client = client
        self._address = address

    def describe(self) -> str:
        """The number of workers and threads, and the dashboard, in one line."""
        threads = self._client.nthreads().values()
        text = (
            f"{counted(len(threads), 'workers')}, {counted(sum(threads), 'threads')}."
        )
        try:
            return f"{text} Dashboard: {self._client.dashboard_link}"
        except KeyError:
            return f"{text} The scheduler has no dashboard."

    def in_order(
        self, function: Callable[[Task], TaskResult], tasks: Iterable[Task]
    ) -> Iterator[TaskResult]:
        """The results in the order of the tasks, which are read a few ahead.

        `function` is imported by the workers. A task whose worker dies runs again on
        another one. Raises the AppError of a task, and AppError if the scheduler is
        lost.
        """
        waiting: deque[Future] = deque()
        for task in tasks:
            waiting.append(self._submit(function, task))
            if len(waiting) >= self._most_waiting():
                yield self._result(waiting.popleft())
        while waiting:
            yield self._result(waiting.popleft())

    def wait_for_a_worker(self) -> None:
        """Wait until a worker has joined. Raises AppError after a while."""
        try:
            self._client.wait_for_workers(1, timeout=WORKERS_WITHIN_S)
        except TimeoutError:
            raise AppError(
                f"The Dask scheduler at {self._address} has no workers; start some with"
                f" `dask worker {self._address}`, and install the project for them: a"
                " worker without it ends at its first task."
            ) from None
        except OSError:
            raise self._lost() from None

    def _submit(self, function: Callable[[Task], TaskResult], task: Task) -> "Future":
        # pure=False: never the remembered result of an equal task.
        return self._client.submit(function, task, pure=False)

    def _most_waiting(self) -> int:
        try:
            threads: int = sum(self._client.nthreads().values())
        except OSError:
            raise self._lost() from None
        return max(1, TASKS_PER_THREAD * threads)

    def _result(self, future: "Future") -> Any:
        from distributed import CancelledError, KilledWorker  # noqa: PLC0415

        try:
            while True:
                with suppress(TimeoutError):
                    return future.result(timeout=COUNTED_EVERY_S)
                self.wait_for_a_worker()
        except CancelledError:
            raise self._lost() from None
        except KilledWorker as error:
            raise AppError(
                f"{counted(error.allowed_failures + 1, 'workers')} died of one task;"
                " give them more"
                " memory, then run the same command again."
            ) from None
        except (ImportError, AttributeError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and "deserial" not in str(error):
                raise
            raise _other_code() from error

    def _lost(self) -> AppError:
        return AppError(
            f"The Dask scheduler at {self._address} was lost; start it again, then run"
            " the same command to continue."
        )


def cluster_at(address: str | None) -> AbstractContextManager[Cluster | None]:
    """The cluster of the scheduler at `address`; None without an address.

    Raises ConfigError without Dask, and AppError if no scheduler answers or it has no
    worker.
    """
    return nullcontext() if address is None else _connected(address)


@contextmanager
def _connected(address: str) -> Iterator[Cluster]:
    try:
        from distributed import Client  # noqa: PLC0415
    except ImportError:
        raise ConfigError(
            "--scheduler needs the packages of the extra scale: pip install"
            " 'job-recommender[scale]', or in a checkout requirements-scale.txt."
        ) from None
    try:
        client = Client(address, timeout=SCHEDULER_TIMEOUT_S, set_as_default=False)
    except (OSError, ValueError):
        raise AppError(
            f"No Dask scheduler answers at {address}; start one with `dask scheduler`,"
            " or correct --scheduler."
        ) from None
    with client:
        cluster = Cluster(client, address)
        cluster.wait_for_a_worker()
        yield cluster


def _other_code() -> AppError:
    return AppError(
        "The Dask scheduler or a worker lacks this version of the project; install"
        f" job-recommender[scale] {__version__} from the same source on each."
    )
