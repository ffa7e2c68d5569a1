"""A model by its name on a hub: ORGANISATION/NAME@REVISION, all but NAME optional."""

import re
from dataclasses import dataclass

_PART = r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
_PATTERN = re.compile(rf"(?:({_PART})/)?({_PART})(?:@({_PART}))?")
DEFAULT_MODEL = "all-MiniLM-L6-v2"
# sentence-transformers looks there, too, for a name without an organisation.
_ORGANISATION = "sentence-transformers"


@dataclass(frozen=True)
class ModelSource:
    """`name` is the folder under `models/`, and the version stored with embeddings."""

    organisation: str
    name: str
    revision: str | None = None

    @classmethod
    def parse(cls, text: str) -> "ModelSource":
        """Raises ValueError with a sentence's end for what is no such name."""
        match = _PATTERN.fullmatch(text)
        if match is None:
            raise ValueError(
                "it names a model as NAME, ORGANISATION/NAME or"
                " ORGANISATION/NAME@REVISION"
            )
        return cls(match[1] or _ORGANISATION, match[2], match[3])

    @property
    def repository(self) -> str:
        return f"{self.organisation}/{self.name}"
