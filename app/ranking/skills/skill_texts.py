"""The texts of all skills in local files: the id of a text, and the text of an id."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.ranking.skills.stems import word_hash

# Of one skill: the hash of its text, and where this is among the bytes of all texts.
SKILL_TEXT = np.dtype([("hash", "<u8"), ("start", "<u4"), ("size", "<u4")])
TEXT_BYTE = np.dtype("u1")


def text_row(text: str, start: int) -> NDArray[Any]:
    """(1,) SKILL_TEXT of a text whose bytes begin at `start`."""
    return np.array([(word_hash(text), start, len(text.encode()))], SKILL_TEXT)


@dataclass(frozen=True, eq=False)
class SkillTexts:
    """Texts by skill id: row n belongs to the skill with the id n, or to none."""

    rows: NDArray[Any]  # (n,) SKILL_TEXT
    data: NDArray[np.uint8]  # (m,)

    def ids(self, texts: Sequence[str]) -> dict[str, int]:
        """The ids of those texts that are skills."""
        hashes = self.rows["hash"]
        return {
            text: n
            for text in texts
            for n in np.flatnonzero(hashes == np.uint64(word_hash(text))).tolist()
            if self._at(n) == text.encode()
        }

    def of(self, ids: Sequence[int]) -> dict[int, str]:
        """The texts of those of these ids that are skills."""
        known = [id_ for id_ in ids if 0 <= id_ < len(self.rows)]
        return {id_: text.decode() for id_ in known if (text := self._at(id_))}

    def _at(self, id_: int) -> bytes:
        _, start, size = self.rows[id_].tolist()
        return self.data[start : start + size].tobytes()


NO_TEXTS = SkillTexts(np.zeros(0, SKILL_TEXT), np.zeros(0, TEXT_BYTE))
