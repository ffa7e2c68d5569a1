"""The one model that a process keeps in memory."""

from collections.abc import Callable
from pathlib import Path
from threading import Lock

from app.encoder.lazy import LazyEncoder
from app.process import trim_malloc


class CurrentModel:
    """The encoder of the model in use. Another one replaces it, and its memory is freed
    with the last batch that works with it.
    """

    def __init__(self, folder_of: Callable[[str], Path], version: str) -> None:
        """`folder_of`: where the files of a model are, by its name."""
        self._folder_of = folder_of
        self._lock = Lock()
        self._current = LazyEncoder(folder_of(version), version)

    @property
    def current(self) -> LazyEncoder:
        """The encoder that was used last."""
        return self._current

    def of(self, version: str) -> LazyEncoder:
        """The encoder of this model, which does not become the current one."""
        current = self._current
        if current.version == version:
            return current
        return LazyEncoder(self._folder_of(version), version)

    def use(self, version: str) -> LazyEncoder:
        """The encoder of this model, which is the current one from now on."""
        with self._lock:
            if self._current.version != version:
                self._current = self.of(version)
                trim_malloc()
            return self._current
