"""What a checkpoint says of itself, in sentence-transformers' layout.

Reads the small JSON files beside the weights; the tokenizer and the weights are read
by `library_tokens.py` and `weights.py`.
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
# Room for the special tokens and a piece of text.
_MIN_TOKENS = 3

Part = TypeVar("Part")


class UnsupportedModelError(ModelUnavailableError):
    """The encoder cannot run this checkpoint; the message names the part."""


class _Config(BaseModel):
    """config.json; DistilBERT has other names for the same sizes."""

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
        """The class's name: its package was renamed more than once."""
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
        # sentence-transformers, too, takes the mean where nothing is said.
        return [mode for key, mode in _OLD_POOLING.items() if old.get(key)] or ["mean"]


class _Window(BaseModel):
    max_seq_length: int | None = None
    do_lower_case: bool = False


class _TokenizerConfig(BaseModel):
    # Without a limit, transformers writes 1e30.
    model_max_length: float | None = None
    do_lower_case: bool = False
    truncation_side: str = "right"


class _Prompts(BaseModel):
    prompts: Mapping[str, str | None] = {}
    default_prompt_name: str | None = None


def read_spec(folder: Path) -> ModelSpec:
    """Raises UnsupportedModelError with one sentence that names what cannot be run."""
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
    """Needs config.json only; raises as `read_spec`."""
    _architecture(folder)


def pooling_file(folder: Path) -> str:
    """Needs modules.json only: the name of the pooling module's file in `folder`.

    Raises as `read_spec`.
    """
    path = _modules(folder)[1].path
    if not re.fullmatch(FILE_NAME, path):
        raise UnsupportedModelError(f"{MODULES} names the folder {path!r}.")
    return f"{path}/{CONFIG}"


def _architecture(folder: Path) -> Architecture:
    # The type first: of a T5, the sizes have other names, which is not the point.
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
    most = architecture.positions - architecture.first_position
    said = window.max_seq_length or tokenizer.model_max_length
    tokens = most if said is None else int(min(said, most))
    if tokens < _MIN_TOKENS:
        raise UnsupportedModelError(f"A window of {tokens} tokens is not supported.")
    return tokens


def _prompts(config: _Prompts) -> Prompts:
    given = {name: prompt or "" for name, prompt in config.prompts.items()}
    default = given.get(config.default_prompt_name or "", "")
    # sentence-transformers writes an empty "document" beside a "passage".
    passage = next((given[name] for name in _PASSAGE if given.get(name)), default)
    return Prompts(query=given.get("query") or default, passage=passage)


def _part(
    folder: Path, name: str, kind: type[Part], *, absent: Part | None = None
) -> Part:
    """One JSON file as a `kind`; `absent` is for files that a checkpoint may lack."""
    path = folder / name
    try:
        return TypeAdapter(kind).validate_json(path.read_bytes())
    except FileNotFoundError:
        if absent is not None:
            return absent
        raise UnsupportedModelError(f"The checkpoint has no {name}.") from None
    except OSError as exc:
        raise ModelUnavailableError(
            f"{path} cannot be read ({exc.strerror}): run `make model`."
        ) from exc
    except ValidationError as exc:
        fault = exc.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, fault["loc"]))
        raise UnsupportedModelError(
            f"{name} is not usable: {where + ': ' if where else ''}{fault['msg']}."
        ) from None
