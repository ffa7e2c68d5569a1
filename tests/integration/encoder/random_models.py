"""The weights of small checkpoints, by torch and transformers."""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import (
    BertConfig,
    BertModel,
    DistilBertConfig,
    DistilBertModel,
    PreTrainedModel,
    XLMRobertaConfig,
    XLMRobertaModel,
)

from tests.integration.encoder.checkpoints import Checkpoint


def save_model(path: Path, made: Checkpoint, *, vocabulary: int) -> None:
    """Write the weights and `config.json` into the folder `path`."""
    torch.manual_seed(int.from_bytes(made.name.encode()[-7:], "big"))
    model = _model(made, vocabulary)
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            # As transformers leaves them, norms are 1, biases are 0, and layers add
            # next to nothing: a mistake in one of them would not show.
            spread = 0.3 if "LayerNorm" in name or "layer_norm" in name else 0.08
            tensor.add_(torch.randn_like(tensor) * spread)
    model.save_pretrained(path)
    if made.prefix:
        tensors = {made.prefix + k: v for k, v in model.state_dict().items()}
        save_file(tensors, path / "model.safetensors", {"format": "pt"})


def _model(made: Checkpoint, vocabulary: int) -> PreTrainedModel:
    if made.model_type == "distilbert":
        return DistilBertModel(
            DistilBertConfig(
                vocab_size=vocabulary,
                dim=made.dimension,
                n_layers=made.layers,
                n_heads=made.heads,
                hidden_dim=made.intermediate,
                activation=made.activation,
                max_position_embeddings=made.positions,
            )
        )
    sizes = {
        "vocab_size": vocabulary,
        "hidden_size": made.dimension,
        "num_hidden_layers": made.layers,
        "num_attention_heads": made.heads,
        "intermediate_size": made.intermediate,
        "hidden_act": made.activation,
        "max_position_embeddings": made.positions,
    }
    if made.model_type == "xlm-roberta":
        return XLMRobertaModel(
            XLMRobertaConfig(
                **sizes, pad_token_id=1, type_vocab_size=1, layer_norm_eps=1e-5
            )
        )
    return BertModel(BertConfig(**sizes))


def cast_weights(folder: Path, dtype: str) -> None:
    """Convert to a type of torch, and add the ids that old checkpoints have."""
    file = folder / "model.safetensors"
    ids = {"embeddings.position_ids": torch.arange(80)[None]}
    cast = {
        name: part.to(getattr(torch, dtype)) for name, part in load_file(file).items()
    }
    save_file(cast | ids, file, {"format": "pt"})
