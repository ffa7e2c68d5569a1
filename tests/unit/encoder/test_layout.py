"""`app.encoder.layout`: supported and unsupported configurations."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from app.encoder.layout import UnsupportedModelError, read_spec
from app.encoder.spec import Architecture, ModelSpec, Prompts

BERT = {
    "model_type": "bert",
    "hidden_act": "gelu",
    "hidden_size": 384,
    "intermediate_size": 1536,
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 512,
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "pad_token_id": 0,
}
XLM = BERT | {
    "model_type": "xlm-roberta",
    "max_position_embeddings": 514,
    "layer_norm_eps": 1e-5,
    "pad_token_id": 1,
}
DISTILBERT = {
    "model_type": "distilbert",
    "activation": "gelu",
    "dim": 96,
    "hidden_dim": 384,
    "n_heads": 4,
    "n_layers": 3,
    "max_position_embeddings": 128,
}
MODULES = [
    {"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
]
NORMALIZE = {"idx": 2, "path": "2_Normalize", "type": "a.normalize.Normalize"}
DENSE = {"idx": 2, "path": "2_Dense", "type": "sentence_transformers.models.Dense"}
FILES: Mapping[str, Any] = {
    "config.json": BERT,
    "modules.json": MODULES,
    "1_Pooling/config.json": {"pooling_mode_mean_tokens": True},
    "sentence_bert_config.json": {"max_seq_length": 128, "do_lower_case": False},
    "tokenizer_config.json": {"model_max_length": 512},
}


def written(folder: Path, changes: Mapping[str, Any]) -> Path:
    """The checkpoint's files with changes; None removes a file."""
    for name, content in {**FILES, **changes}.items():
        if content is not None:
            (folder / name).parent.mkdir(exist_ok=True)
            text = content if isinstance(content, str) else json.dumps(content)
            (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_a_bert_is_what_its_files_say(tmp_path: Path) -> None:
    assert read_spec(written(tmp_path, {})) == ModelSpec(
        Architecture(
            family="bert",
            dimension=384,
            layers=12,
            heads=12,
            intermediate=1536,
            positions=512,
        ),
        pooling="mean",
        max_tokens=128,
    )


def test_xlm_roberta_counts_positions_behind_its_padding(tmp_path: Path) -> None:
    files = {"config.json": XLM, "sentence_bert_config.json": None}
    spec = read_spec(written(tmp_path, files))
    assert spec.architecture.padding_id == 1
    assert spec.architecture.epsilon == 1e-5
    assert spec.max_tokens == 512  # 514 positions, the first two of them unused


def test_distilbert_has_other_names_for_its_sizes(tmp_path: Path) -> None:
    spec = read_spec(written(tmp_path, {"config.json": DISTILBERT}))
    assert spec.architecture == Architecture(
        family="distilbert",
        dimension=96,
        layers=3,
        heads=4,
        intermediate=384,
        positions=128,
    )


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ({"pooling_mode": "cls"}, "cls"),
        ({"pooling_mode": ["max"]}, "max"),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
        ({"pooling_mode_max_tokens": True}, "max"),
        ({"pooling_mode_cls_token": False}, "mean"),  # nothing is true
        ({}, "mean"),
    ],
)
def test_pooling_is_read_in_the_old_words_and_the_new(
    tmp_path: Path, pooling: Mapping[str, Any], expected: str
) -> None:
    files = {"1_Pooling/config.json": pooling}
    assert read_spec(written(tmp_path, files)).pooling == expected


@pytest.mark.parametrize(
    ("window", "tokenizer", "expected"),
    [
        ({"max_seq_length": 128}, {"model_max_length": 64}, 128),
        ({"max_seq_length": None}, {"model_max_length": 64}, 64),
        ({}, {"model_max_length": 1e30}, 512),  # transformers' "no limit"
        ({"max_seq_length": 1024}, {}, 512),  # no more than there are positions
        (None, {}, 512),
    ],
)
def test_the_window_is_the_smallest_of_all_limits(
    tmp_path: Path, window: Any, tokenizer: Any, expected: int
) -> None:
    files = {"sentence_bert_config.json": window, "tokenizer_config.json": tokenizer}
    assert read_spec(written(tmp_path, files)).max_tokens == expected


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"prompts": {"query": "q: ", "passage": "p: "}}, Prompts("q: ", "p: ")),
        ({"prompts": {"query": "q: ", "document": ""}}, Prompts("q: ", "")),
        ({"prompts": {"document": "d: ", "passage": "p: "}}, Prompts("", "d: ")),
        ({"prompts": {"document": "", "passage": "p: "}}, Prompts("", "p: ")),
        ({"prompts": {"corpus": "c: ", "query": None}}, Prompts("", "c: ")),
        (
            {"prompts": {"all": "a: "}, "default_prompt_name": "all"},
            Prompts("a: ", "a: "),
        ),
        ({"prompts": {"all": "a: "}}, Prompts()),
        ({}, Prompts()),
        (None, Prompts()),
    ],
)
def test_prompts_are_those_of_queries_and_of_passages(
    tmp_path: Path, config: Any, expected: Prompts
) -> None:
    files = {"config_sentence_transformers.json": config}
    assert read_spec(written(tmp_path, files)).prompts == expected


@pytest.mark.parametrize("modules", [MODULES, [*MODULES, NORMALIZE]])
def test_a_normalize_module_makes_no_difference(tmp_path: Path, modules: Any) -> None:
    spec = read_spec(written(tmp_path, {"modules.json": modules}))
    assert spec.pooling == "mean"


ONLY = "only BERT, DistilBERT and XLM-RoBERTa are."


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        # T5 has other names for its sizes: its type is checked first.
        (
            {"config.json": {"model_type": "t5", "d_model": 768}},
            f"T5 is not supported: {ONLY}",
        ),
        (
            {"config.json": BERT | {"model_type": "mpnet"}},
            f"MPNet is not supported: {ONLY}",
        ),
        (
            {"config.json": {"model_type": "nomic_bert"}},
            f"nomic_bert is not supported: {ONLY}",
        ),
        ({"config.json": {}}, f"None is not supported: {ONLY}"),
        (
            {"config.json": BERT | {"hidden_act": "silu"}},
            "The activation silu is not supported.",
        ),
        (
            {"config.json": BERT | {"position_embedding_type": "relative_key"}},
            "relative_key position embeddings are not supported.",
        ),
        (
            {"config.json": BERT | {"num_attention_heads": 7}},
            "config.json divides 384 dimensions among 7 heads.",
        ),
        (
            {"config.json": BERT | {"hidden_size": 0}},
            "config.json is not usable: hidden_size: Input should be greater than 0.",
        ),
        (
            {"config.json": "[]"},
            "config.json is not usable: Input should be an object.",
        ),
        ({"config.json": None}, "The checkpoint has no config.json."),
        ({"modules.json": None}, "The checkpoint has no modules.json."),
        ({"modules.json": []}, "modules.json lists nothing."),
        (
            {"modules.json": [*MODULES, DENSE]},
            "The module Dense is not supported.",
        ),
        (
            {"modules.json": [*MODULES, MODULES[1]]},
            "modules.json lists Transformer, Pooling, Pooling.",
        ),
        (
            {"modules.json": [MODULES[0] | {"path": "0_Transformer"}, MODULES[1]]},
            "A transformer in the folder '0_Transformer' is not supported.",
        ),
        (
            {"modules.json": [MODULES[0], MODULES[1] | {"path": "../up"}]},
            "modules.json names the folder '../up'.",
        ),
        (
            {"modules.json": [MODULES[0], MODULES[1] | {"path": "/etc"}]},
            "modules.json names the folder '/etc'.",
        ),
        (
            {"modules.json": [MODULES[0], MODULES[1] | {"path": ".."}]},
            "modules.json names the folder '..'.",
        ),
        (
            {"1_Pooling/config.json": {"pooling_mode": "lasttoken"}},
            "lasttoken pooling is not supported.",
        ),
        (
            {"1_Pooling/config.json": {"pooling_mode": ["cls", "mean"]}},
            "cls and mean pooling is not supported.",
        ),
        (
            {
                "1_Pooling/config.json": {"include_prompt": False},
                "config_sentence_transformers.json": {"prompts": {"query": "q: "}},
            },
            "Pooling without the prompt is not supported.",
        ),
        (
            {"sentence_bert_config.json": {"do_lower_case": True}},
            "do_lower_case in sentence_bert_config.json is not supported.",
        ),
        (
            {"sentence_bert_config.json": {"max_seq_length": 2}},
            "A window of 2 tokens is not supported.",
        ),
        (
            {"tokenizer_config.json": {"truncation_side": "left"}},
            "Truncation on the left is not supported.",
        ),
    ],
)
def test_an_unsupported_model_is_named_in_one_sentence(
    tmp_path: Path, changes: Mapping[str, Any], sentence: str
) -> None:
    with pytest.raises(UnsupportedModelError) as caught:
        read_spec(written(tmp_path, changes))
    assert str(caught.value) == sentence
