"""Build small checkpoints with random weights, in sentence-transformers' layout."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from tokenizers.trainers import UnigramTrainer, WordPieceTrainer
from transformers import (
    BertConfig,
    BertModel,
    DistilBertConfig,
    DistilBertModel,
    PreTrainedModel,
    XLMRobertaConfig,
    XLMRobertaModel,
)

from app.encoder.checkpoint import MANIFEST_NAME, Manifest

BERT_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
XLM_TOKENS = ["<s>", "<pad>", "</s>", "<unk>"]


@dataclass(frozen=True)
class Checkpoint:
    """The varied parts. All others are random, with the name as the seed."""

    name: str
    model_type: str = "bert"
    tokenizer: str = "wordpiece"
    dimension: int = 48
    layers: int = 2
    heads: int = 4
    intermediate: int = 192
    activation: str = "gelu"
    pooling: Mapping[str, Any] = field(default_factory=lambda: {"pooling_mode": "mean"})
    normalize: bool = True
    max_tokens: int = 64
    positions: int = 80
    prompts: Mapping[str, str] = field(default_factory=dict)
    prefix: str = ""  # of the names of all tensors


def build(folder: Path, made: Checkpoint, texts: Sequence[str]) -> Path:
    """Build the checkpoint in a folder of its name, with a manifest. Returns its path.

    `texts` train the tokenizer.
    """
    path = folder / made.name
    path.mkdir()
    tokenizer = _TOKENIZERS[made.tokenizer](texts)
    tokenizer.save(str(path / "tokenizer.json"))
    _save_model(path, made, vocabulary=tokenizer.get_vocab_size())
    for name, content in _side_files(made):
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).write_text(json.dumps(content), encoding="utf-8")
    write_manifest(path, dimension=made.dimension, max_tokens=made.max_tokens)
    return path


def write_manifest(path: Path, *, dimension: int, max_tokens: int) -> None:
    files = {
        str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in path.rglob("*")
        if file.is_file()
    }
    manifest = Manifest(
        name=path.name,
        repository=str(path),
        revision="made",
        dimension=dimension,
        max_tokens=max_tokens,
        files=files,
    )
    (path / MANIFEST_NAME).write_bytes(manifest.to_json())


def _word_pieces(texts: Iterable[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = WordPieceTrainer(
        vocab_size=1500, special_tokens=BERT_TOKENS, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return _with_specials(tokenizer, "[CLS]", "[SEP]")


def _unigram(texts: Iterable[str]) -> Tokenizer:
    """A tokenizer as in XLM-RoBERTa: SentencePiece Unigram, words marked with ▁."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always"),
        ]
    )
    trainer = UnigramTrainer(
        vocab_size=1500,
        special_tokens=[*XLM_TOKENS, "<mask>"],
        unk_token="<unk>",
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return _with_specials(tokenizer, "<s>", "</s>")


def _with_specials(tokenizer: Tokenizer, first: str, last: str) -> Tokenizer:
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}",
        special_tokens=[(name, tokenizer.token_to_id(name)) for name in (first, last)],
    )
    return tokenizer


_TOKENIZERS = {"wordpiece": _word_pieces, "unigram": _unigram}


def _save_model(path: Path, made: Checkpoint, *, vocabulary: int) -> None:
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


def _side_files(made: Checkpoint) -> Iterator[tuple[str, Any]]:
    kinds = ["Transformer", "Pooling", *(["Normalize"] if made.normalize else [])]
    yield (
        "modules.json",
        [
            {
                "idx": n,
                "name": str(n),
                "path": f"{n}_{kind}" if n else "",
                "type": f"sentence_transformers.models.{kind}",
            }
            for n, kind in enumerate(kinds)
        ],
    )
    pooling = {"word_embedding_dimension": made.dimension} | dict(made.pooling)
    yield "1_Pooling/config.json", pooling
    yield "sentence_bert_config.json", {"max_seq_length": made.max_tokens}
    if made.prompts:
        prompts = {"prompts": made.prompts, "default_prompt_name": None}
        yield "config_sentence_transformers.json", prompts
    is_bert = made.tokenizer == "wordpiece"
    yield (
        "tokenizer_config.json",
        {
            "tokenizer_class": "BertTokenizer" if is_bert else "XLMRobertaTokenizer",
            "model_max_length": 512,
        },
    )
