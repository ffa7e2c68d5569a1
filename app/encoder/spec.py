"""What a model is: its layers, pooling, window and prompts. No files here."""

from dataclasses import dataclass
from typing import Literal

Family = Literal["bert", "xlm-roberta", "distilbert"]
Pooling = Literal["mean", "cls", "max"]
PromptName = Literal["query", "passage"]


@dataclass(frozen=True)
class Architecture:
    """The shape of a BERT-like encoder, by the terms of Hugging Face's config.json."""

    family: Family
    dimension: int  # hidden_size
    layers: int
    heads: int
    intermediate: int
    positions: int  # rows of the position embeddings
    activation: str = "gelu"  # a key of ACTIVATIONS
    epsilon: float = 1e-12  # layer_norm_eps
    # XLM-RoBERTa counts positions from padding_id + 1, padding excepted; None: from 0.
    padding_id: int | None = None

    @property
    def first_position(self) -> int:
        return 0 if self.padding_id is None else self.padding_id + 1


@dataclass(frozen=True)
class Prompts:
    """What is put before a text, for example "query: "; models without one have ""."""

    query: str = ""
    passage: str = ""

    def of(self, name: PromptName) -> str:
        return self.query if name == "query" else self.passage


@dataclass(frozen=True)
class ModelSpec:
    """All that turns a checkpoint's weights and tokens into embeddings.

    A checkpoint may lack sentence-transformers' Normalize module: embeddings are of
    unit length all the same. Only cosine similarities are ranked by, which that does
    not change, and the dot product of two unit vectors is their cosine.
    """

    architecture: Architecture
    pooling: Pooling
    max_tokens: int  # special tokens included
    prompts: Prompts = Prompts()


# What the pinned checkpoint's config files say; only its weights and vocabulary are
# fetched.
MINILM_SPEC = ModelSpec(
    Architecture(
        family="bert",
        dimension=384,
        layers=6,
        heads=12,
        intermediate=1536,
        positions=512,
    ),
    pooling="mean",
    max_tokens=256,
)
