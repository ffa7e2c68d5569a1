"""Build small checkpoints with random weights, in sentence-transformers' layout."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from tokenizers.trainers import UnigramTrainer, WordPieceTrainer

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
    # Imported on demand: torch and transformers take four seconds, and every worker
    # collects every test.
    from tests.integration.encoder.random_models import save_model  # noqa: PLC0415

    save_model(path, made, vocabulary=tokenizer.get_vocab_size())
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
