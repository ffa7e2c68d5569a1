"""Names of embedding models on a hub."""

import re
from dataclasses import dataclass

_MODEL_PART = r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
_MODEL_NAME = re.compile(rf"(?:({_MODEL_PART})/)?({_MODEL_PART})(?:@({_MODEL_PART}))?")
DEFAULT_MODEL = "all-MiniLM-L6-v2"
# sentence-transformers has the same default for a name without an organisation.
_MODEL_ORGANISATION = "sentence-transformers"


@dataclass(frozen=True)
class ModelSource:
    """A model's name on a hub: ORGANISATION/NAME@REVISION; only NAME is required.

    `name` is also the folder under `models/` and the version stored with embeddings.
    """

    organisation: str
    name: str
    revision: str | None = None

    @classmethod
    def parse(cls, text: str) -> "ModelSource":
        """Parse a model name. Raises ValueError for any other text."""
        match = _MODEL_NAME.fullmatch(text)
        if match is None:
            raise ValueError(
                "it names a model as NAME, ORGANISATION/NAME or"
                " ORGANISATION/NAME@REVISION"
            )
        return cls(match[1] or _MODEL_ORGANISATION, match[2], match[3])

    @property
    def repository(self) -> str:
        return f"{self.organisation}/{self.name}"
