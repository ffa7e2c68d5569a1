"""The encoder of passages: the stored texts that queries are compared with."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from app.encoder.spec import PromptName
from app.encoder.wrapper import Described, EncoderWrapper


class PromptedEncoder(Described, Protocol):
    """An `Encoder` with a choice of prompt; the default is the one for queries."""

    def encode(
        self, texts: Sequence[str], *, prompt: PromptName = "query"
    ) -> NDArray[np.float32]: ...


class PassageEncoder(EncoderWrapper[PromptedEncoder]):
    """An `Encoder` of jobs' texts: the model with its prompt for passages.

    Users' texts, stored or typed, are queries. So are all single skills, of jobs too:
    models with prompts compare short texts of one kind with their query prompt.
    """

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """As `Encoder.encode`."""
        return self._encoder.encode(texts, prompt="passage")
