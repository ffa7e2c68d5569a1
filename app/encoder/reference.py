"""The same models in sentence-transformers: for scripts, a GPU and the tests.

The web process never imports this module: torch alone takes five times its memory.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from app.encoder.checkpoint import MINILM, PINNED, verify_model
from app.encoder.layout import read_spec
from app.encoder.spec import MINILM_SPEC, PromptName

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

# The configuration in the official repository, as far as sentence-transformers needs it
# to build the same architecture without network access.
_SIDE_FILES: dict[str, Any] = {
    "config.json": {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "hidden_act": "gelu",
        "hidden_size": 384,
        "intermediate_size": 1536,
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": 512,
        "num_attention_heads": 12,
        "num_hidden_layers": 6,
        "pad_token_id": 0,
        "type_vocab_size": 2,
        "vocab_size": 30522,
    },
    "tokenizer_config.json": {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": True,
        "model_max_length": 512,
    },
    "sentence_bert_config.json": {
        "max_seq_length": MINILM.max_tokens,
        "do_lower_case": False,
    },
    "1_Pooling/config.json": {
        "word_embedding_dimension": MINILM.dimension,
        "pooling_mode_mean_tokens": True,
    },
    "modules.json": [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.{cls}"}
        for i, (path, cls) in enumerate(
            [
                ("", "models.Transformer"),
                ("1_Pooling", "models.Pooling"),
                ("2_Normalize", "models.Normalize"),
            ]
        )
    ],
}


class ReferenceEncoder:
    """An `Encoder` in sentence-transformers; it works without network access."""

    def __init__(
        self, model_dir: Path, device: str | None = None, *, name: str = MINILM.name
    ) -> None:
        """`device`: a torch device; None lets sentence-transformers choose.

        Raises ModelUnavailableError if the files are absent or not those of `name`.
        """
        verify_model(model_dir, name)
        self._name = name
        self._spec = MINILM_SPEC if name in PINNED else read_spec(model_dir)
        self._model = (
            _load_pinned(model_dir, device)
            if name in PINNED
            else _load(model_dir, device, max_tokens=self._spec.max_tokens)
        )

    @property
    def version(self) -> str:
        return self._name

    @property
    def dimension(self) -> int:
        return self._spec.architecture.dimension

    def encode(
        self, texts: Sequence[str], *, prompt: PromptName = "query"
    ) -> NDArray[np.float32]:
        """As `NumpyEncoder.encode`."""
        if not texts:
            return np.empty((0, self.dimension), np.float32)
        embeddings: NDArray[np.float32] = self._model.encode(
            list(texts),
            prompt=self._spec.prompts.of(prompt),
            show_progress_bar=False,
            convert_to_numpy=True,
            normalize_embeddings=True,
        )
        return embeddings


def _load_pinned(model_dir: Path, device: str | None) -> "SentenceTransformer":
    with TemporaryDirectory() as folder:
        _lay_out(Path(folder), model_dir)
        return _load(Path(folder), device, max_tokens=MINILM_SPEC.max_tokens)


def _load(
    folder: Path, device: str | None, *, max_tokens: int
) -> "SentenceTransformer":
    # Imported on demand: it takes seconds, and app/ must work without it installed.
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415
    from transformers.utils import logging  # noqa: PLC0415

    # Its progress bar for loading would interrupt that of the backfill.
    logging.disable_progress_bar()
    model = SentenceTransformer(
        str(folder),
        device=device,
        local_files_only=True,
        # Otherwise a float16 checkpoint would run in float16.
        model_kwargs={"dtype": "float32"},
    )
    model.max_seq_length = max_tokens
    return model


def _lay_out(folder: Path, model_dir: Path) -> None:
    for name in MINILM.files:
        (folder / name).symlink_to((model_dir / name).resolve())
    (folder / "1_Pooling").mkdir()
    for name, content in _SIDE_FILES.items():
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
