"""Read a checkpoint's configuration, in the layout of sentence-transformers.

Only the small JSON files: `library_tokens.py` reads the tokenizer and `weights.py` the
weights.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import AliasChoices, BaseModel, Field, TypeAdapter, ValidationError

from app.encoder.activations import ACTIVATIONS
from app.encoder.checkpoint import FILE_NAME
from app.encoder.spec import Architecture, Family, ModelSpec, Pooling, Prompts
from app.errors import ModelUnavailableError

CONFIG = "config.json"
MODULES = "modules.json"
WINDOW = "sentence_bert_config.json"
PROMPTS = "config_sentence_transformers.json"
TOKENIZER_CONFIG = "tokenizer_config.json"

_FAMILIES: Mapping[str, Family] = {
    "bert": "bert",
    "distilbert": "distilbert",
    "xlm-roberta": "xlm-roberta",
}
_NAMES = {
    "albert": "ALBERT",
    "deberta-v2": "DeBERTa",
    "electra": "ELECTRA",
    "gpt2": "GPT-2",
    "modernbert": "ModernBERT",
    "mpnet": "MPNet",
    "mt5": "mT5",
    "roberta": "RoBERTa",
    "t5": "T5",
}
_POOLINGS: Mapping[str, Pooling] = {"mean": "mean", "cls": "cls", "max": "max"}
_OLD_POOLING = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
_PASSAGE = ("document", "passage", "corpus")
# Two special tokens, and at least one of the text.
_MIN_TOKENS = 3

Part = TypeVar("Part")


class UnsupportedModelError(ModelUnavailableError):
    """The encoder does not support this checkpoint; the message names the reason."""


class _Config(BaseModel):
    """config.json. DistilBERT has other names for the same sizes."""

    model_type: str
    hidden_size: int = Field(gt=0, validation_alias=AliasChoices("hidden_size", "dim"))
    num_hidden_layers: int = Field(
        gt=0, validation_alias=AliasChoices("num_hidden_layers", "n_layers")
    )
    num_attention_heads: int = Field(
        gt=0, validation_alias=AliasChoices("num_attention_heads", "n_heads")
    )
    intermediate_size: int = Field(
        gt=0, validation_alias=AliasChoices("intermediate_size", "hidden_dim")
    )
    hidden_act: str = Field(validation_alias=AliasChoices("hidden_act", "activation"))
    max_position_embeddings: int = Field(gt=0)
    layer_norm_eps: float = 1e-12
    pad_token_id: int = 0
    position_embedding_type: str = "absolute"


class _Module(BaseModel):
    path: str
    type: str

    @property
    def kind(self) -> str:
        """The name of the class without its package, which has changed over time."""
        return self.type.rpartition(".")[2]


class _Pooling(BaseModel, extra="allow"):
    pooling_mode: str | Sequence[str] | None = None
    include_prompt: bool = True

    def modes(self) -> list[str]:
        if isinstance(self.pooling_mode, str):
            return [self.pooling_mode]
        if self.pooling_mode is not None:
            return list(self.pooling_mode)
        old = self.model_extra or {}
        # The mean is the default of sentence-transformers as well.
        return [mode for key, mode in _OLD_POOLING.items() if old.get(key)] or ["mean"]


class _Window(BaseModel):
    max_seq_length: int | None = None
    do_lower_case: bool = False


class _TokenizerConfig(BaseModel):
    # transformers writes 1e30 for "no limit".
    model_max_length: float | None = None
    do_lower_case: bool = False
    truncation_side: str = "right"


class _Prompts(BaseModel):
    prompts: Mapping[str, str | None] = {}
    default_prompt_name: str | None = None


def read_spec(folder: Path) -> ModelSpec:
    """Read a checkpoint's specification.

    Raises UnsupportedModelError, which names the unsupported part.
    """
    architecture = _architecture(folder)
    pooling = _part(folder, pooling_file(folder), _Pooling)
    prompts = _prompts(_part(folder, PROMPTS, _Prompts, absent=_Prompts()))
    if prompts != Prompts() and not pooling.include_prompt:
        raise UnsupportedModelError("Pooling without the prompt is not supported.")
    return ModelSpec(
        architecture,
        pooling=_pooling(pooling),
        max_tokens=_max_tokens(folder, architecture),
        prompts=prompts,
    )


def check_architecture(folder: Path) -> None:
    """Check config.json, the only file it needs. Raises as `read_spec`."""
    _architecture(folder)


def pooling_file(folder: Path) -> str:
    """The path of the pooling module's file in `folder`; needs modules.json only.

    Raises as `read_spec`.
    """
    path = _modules(folder)[1].path
    if not re.fullmatch(FILE_NAME, path):
        raise UnsupportedModelError(f"{MODULES} names the folder {path!r}.")
    return f"{path}/{CONFIG}"


def _architecture(folder: Path) -> Architecture:
    # The type first: other families name their sizes differently, and the error should
    # name the family.
    kind = _part(folder, CONFIG, dict[str, Any]).get("model_type")
    if kind not in _FAMILIES:
        raise UnsupportedModelError(
            f"{_NAMES.get(str(kind), kind)} is not supported: only BERT, DistilBERT and"
            " XLM-RoBERTa are."
        )
    config = _part(folder, CONFIG, _Config)
    _refuse(config)
    family = _FAMILIES[config.model_type]
    return Architecture(
        family=family,
        dimension=config.hidden_size,
        layers=config.num_hidden_layers,
        heads=config.num_attention_heads,
        intermediate=config.intermediate_size,
        positions=config.max_position_embeddings,
        activation=config.hidden_act,
        epsilon=config.layer_norm_eps,
        padding_id=config.pad_token_id if family == "xlm-roberta" else None,
    )


def _refuse(config: _Config) -> None:
    if config.hidden_act not in ACTIVATIONS:
        raise UnsupportedModelError(
            f"The activation {config.hidden_act} is not supported."
        )
    if config.position_embedding_type != "absolute":
        raise UnsupportedModelError(
            f"{config.position_embedding_type} position embeddings are not supported."
        )
    if config.hidden_size % config.num_attention_heads:
        raise UnsupportedModelError(
            f"{CONFIG} divides {config.hidden_size} dimensions among"
            f" {config.num_attention_heads} heads."
        )


def _modules(folder: Path) -> list[_Module]:
    modules: list[_Module] = _part(folder, MODULES, list[_Module])
    kinds = [module.kind for module in modules]
    for kind in kinds:
        if kind not in ("Transformer", "Pooling", "Normalize"):
            raise UnsupportedModelError(f"The module {kind} is not supported.")
    if kinds[:2] != ["Transformer", "Pooling"] or kinds[2:] not in ([], ["Normalize"]):
        raise UnsupportedModelError(f"{MODULES} lists {', '.join(kinds) or 'nothing'}.")
    if modules[0].path:
        raise UnsupportedModelError(
            f"A transformer in the folder {modules[0].path!r} is not supported."
        )
    return modules


def _pooling(pooling: _Pooling) -> Pooling:
    modes = pooling.modes()
    if len(modes) != 1 or modes[0] not in _POOLINGS:
        raise UnsupportedModelError(f"{' and '.join(modes)} pooling is not supported.")
    return _POOLINGS[modes[0]]


def _max_tokens(folder: Path, architecture: Architecture) -> int:
    window = _part(folder, WINDOW, _Window, absent=_Window())
    tokenizer = _part(folder, TOKENIZER_CONFIG, _TokenizerConfig)
    if tokenizer.truncation_side != "right":
        raise UnsupportedModelError("Truncation on the left is not supported.")
    if window.do_lower_case and not tokenizer.do_lower_case:
        raise UnsupportedModelError(f"do_lower_case in {WINDOW} is not supported.")
    positions = architecture.positions - architecture.first_position
    limit = window.max_seq_length or tokenizer.model_max_length
    tokens = positions if limit is None else int(min(limit, positions))
    if tokens < _MIN_TOKENS:
        raise UnsupportedModelError(f"A window of {tokens} tokens is not supported.")
    return tokens


def _prompts(config: _Prompts) -> Prompts:
    prompts = {name: prompt or "" for name, prompt in config.prompts.items()}
    default = prompts.get(config.default_prompt_name or "", "")
    # sentence-transformers writes an empty "document" beside a "passage".
    passage = next((prompts[name] for name in _PASSAGE if prompts.get(name)), default)
    return Prompts(query=prompts.get("query") or default, passage=passage)


def _part(
    folder: Path, name: str, kind: type[Part], *, absent: Part | None = None
) -> Part:
    """Parse one JSON file as a `kind`. `absent`: the default for an optional file."""
    path = folder / name
    try:
        return TypeAdapter(kind).validate_json(path.read_bytes())
    except FileNotFoundError:
        if absent is not None:
            return absent
        raise UnsupportedModelError(f"The checkpoint has no {name}.") from None
    except OSError as exc:
        raise ModelUnavailableError.at(
            path, f"cannot be read ({exc.strerror})"
        ) from exc
    except ValidationError as exc:
        fault = exc.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, fault["loc"]))
        raise UnsupportedModelError(
            f"{name} is not usable: {where + ': ' if where else ''}{fault['msg']}."
        ) from None
