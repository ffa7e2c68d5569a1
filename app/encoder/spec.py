"""A model's specification: layers, pooling, window and prompts."""

from dataclasses import dataclass
from typing import Literal

Family = Literal["bert", "xlm-roberta", "distilbert"]
Pooling = Literal["mean", "cls", "max"]
PromptName = Literal["query", "passage"]


@dataclass(frozen=True)
class Architecture:
    """The shape of a BERT-like encoder, as in Hugging Face's config.json."""

    family: Family
    dimension: int  # hidden_size
    layers: int
    heads: int
    intermediate: int
    positions: int  # rows of the position embeddings
    activation: str = "gelu"  # a key of ACTIVATIONS
    epsilon: float = 1e-12  # layer_norm_eps
    # XLM-RoBERTa counts positions from padding_id + 1 and skips padding tokens; None:
    # positions start at 0.
    padding_id: int | None = None

    @property
    def first_position(self) -> int:
        return 0 if self.padding_id is None else self.padding_id + 1


@dataclass(frozen=True)
class Prompts:
    """The prefixes of texts, for example "query: "; empty if a model has none."""

    query: str = ""
    passage: str = ""

    def of(self, name: PromptName) -> str:
        return self.query if name == "query" else self.passage


@dataclass(frozen=True)
class ModelSpec:
    """How a checkpoint's weights and tokens become embeddings.

    Embeddings always have unit length, even if the checkpoint lacks the Normalize
    module of sentence-transformers: rankings use the cosine similarity, which is the
    dot product of unit vectors.
    """

    architecture: Architecture
    pooling: Pooling
    max_tokens: int  # special tokens included
    prompts: Prompts = Prompts()


# As in the pinned checkpoint's configuration files, which are not downloaded.
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
