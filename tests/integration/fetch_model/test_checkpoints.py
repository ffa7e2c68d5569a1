"""Fetching supported checkpoints, and refusing unsupported ones early."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from app.encoder.checkpoint import MANIFEST_NAME, read_manifest, verify_model
from app.encoder.lazy import LazyEncoder
from app.encoder.passages import PassageEncoder
from app.errors import ModelUnavailableError
from tests.integration.encoder.checkpoints import Checkpoint, build
from tests.integration.fetch_model.fetcher import Fetcher
from tests.integration.fetch_model.stand_in import StandIn

NAME = "tiny-bert"
REPOSITORY = f"acme/{NAME}"
COMMIT = "c0ffee" * 6 + "abcd"
PROMPTS = "config_sentence_transformers.json"  # the last of the small files
TEXTS = ["python, sql", "nursing care", "Schweißen und Löten", ""]


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository: without our manifest, with some unneeded files."""
    path = build(tmp_path_factory.mktemp("hub"), Checkpoint(NAME), TEXTS)
    shutil.copy(path / MANIFEST_NAME, path.parent)
    (path / MANIFEST_NAME).unlink()
    (path / "README.md").write_text("A model card.")
    (path / "pytorch_model.bin").write_bytes(b"pickled")
    return path


@pytest.fixture
def given(original: Path, tmp_path: Path) -> Path:
    """A copy of the repository that the test may change."""
    return shutil.copytree(original, tmp_path / "given" / NAME)


@pytest.fixture
def hub(stand_in: StandIn, given: Path) -> StandIn:
    stand_in.serve_repository(REPOSITORY, given, branch="main", commit=COMMIT)
    return stand_in


def asked(hub: StandIn) -> list[str]:
    return [page.rpartition("/")[2] for page in hub.asked]


def test_a_hub_name_gives_a_model_that_runs(
    fetcher: Fetcher, hub: StandIn, original: Path
) -> None:
    done = fetcher.run(REPOSITORY)
    assert done.stderr == ""
    assert done.stdout == (
        f"{NAME} is in {fetcher.model_dir}, from {hub.url}/{REPOSITORY}.\n"
    )
    manifest = verify_model(fetcher.model_dir, NAME)
    assert (manifest.repository, manifest.revision) == (REPOSITORY, COMMIT)
    assert (manifest.dimension, manifest.max_tokens) == (48, 64)
    assert fetcher.listing() == {
        "1_Pooling",
        "config.json",
        "manifest.json",
        "model.safetensors",
        "modules.json",
        "sentence_bert_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert LazyEncoder(fetcher.model_dir, NAME).encode(TEXTS).shape == (4, 48)
    fetched = (fetcher.model_dir / "model.safetensors").read_bytes()
    assert fetched == (original / "model.safetensors").read_bytes()


def test_all_files_come_from_one_commit(fetcher: Fetcher, hub: StandIn) -> None:
    fetcher.run(REPOSITORY)
    assert hub.asked[0] == f"/{REPOSITORY}/resolve/main/config.json"
    assert all(f"/resolve/{COMMIT}/" in page for page in hub.asked[1:])


def test_a_revision_is_requested_by_name(
    fetcher: Fetcher, stand_in: StandIn, given: Path
) -> None:
    stand_in.serve_repository(REPOSITORY, given, branch="v2", commit=COMMIT)
    assert fetcher.run(f"{REPOSITORY}@v2").returncode == 0
    assert read_manifest(fetcher.model_dir).revision == COMMIT


def test_model_selects_the_default_model(fetcher: Fetcher, hub: StandIn) -> None:
    assert fetcher.run(MODEL=REPOSITORY).returncode == 0
    assert verify_model(fetcher.model_dir, NAME).repository == REPOSITORY


def test_a_second_run_makes_no_request_and_another_commit_is_fetched(
    fetcher: Fetcher, hub: StandIn, given: Path
) -> None:
    fetcher.run(REPOSITORY)
    hub.asked.clear()
    for source in (REPOSITORY, f"{REPOSITORY}@{COMMIT}"):
        done = fetcher.run(source)
        assert (
            done.stdout == f"{NAME} is already in {fetcher.model_dir}: nothing to do.\n"
        )
    assert hub.asked == []
    later = COMMIT[::-1]
    hub.serve_repository(REPOSITORY, given, branch="v3", commit=later)
    assert fetcher.run(f"{REPOSITORY}@{later}").returncode == 0
    assert read_manifest(fetcher.model_dir).revision == later


@pytest.mark.parametrize("kind", ["folder", "--from", "zip"])
def test_a_folder_or_an_archive_needs_no_network(
    fetcher: Fetcher, stand_in: StandIn, given: Path, kind: str
) -> None:
    if kind == "folder":
        done = fetcher.run(given)
    elif kind == "--from":
        done = fetcher.run(REPOSITORY, "--from", given)
    else:
        archive = shutil.make_archive(str(given), "zip", given.parent)
        done = fetcher.run(REPOSITORY, "--from", archive)
    assert (done.stderr, done.returncode) == ("", 0)
    assert stand_in.asked == []
    assert LazyEncoder(fetcher.model_dir, NAME).encode(TEXTS).shape == (4, 48)


def test_a_damaged_file_is_noticed_and_fetched_anew(
    fetcher: Fetcher, hub: StandIn
) -> None:
    fetcher.run(REPOSITORY)
    (fetcher.model_dir / "1_Pooling" / "config.json").write_bytes(b"{}")
    with pytest.raises(ModelUnavailableError, match=r"1_Pooling/config.json does not"):
        verify_model(fetcher.model_dir, NAME)
    assert fetcher.run(REPOSITORY).returncode == 0
    assert verify_model(fetcher.model_dir, NAME).name == NAME


def t5(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "t5", "d_model": 512}')


def a_dense_module(folder: Path) -> None:
    modules = json.loads((folder / "modules.json").read_bytes())
    modules.append({"idx": 3, "path": "3_Dense", "type": "x.Dense"})
    (folder / "modules.json").write_text(json.dumps(modules))


def another_pooling(folder: Path) -> None:
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode": "lasttoken"}')


def byte_level_tokens(folder: Path) -> None:
    tokenizer = json.loads((folder / "tokenizer.json").read_bytes())
    tokenizer["pre_tokenizer"] = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": True,
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))


TOO_LARGE = "modules.json exceeds 1048576 bytes"


def a_large_config(folder: Path) -> None:
    (folder / "modules.json").write_bytes(b" " * (1 << 20) + b"[]")


@pytest.mark.parametrize(
    "case",
    [
        (
            t5,
            "T5 is not supported: only BERT, DistilBERT and XLM-RoBERTa are.",
            "config.json",
        ),
        (a_dense_module, "The module Dense is not supported.", "modules.json"),
        (another_pooling, "lasttoken pooling is not supported.", PROMPTS),
        (
            byte_level_tokens,
            "A tokenizer that splits by ByteLevel is not supported.",
            "tokenizer.json",
        ),
        (
            a_large_config,
            f"{NAME} cannot be fetched from {{hub}}/{REPOSITORY}: {TOO_LARGE}.",
            "modules.json",
        ),
    ],
)
def test_unsupported_models_are_refused_before_the_weights_are_fetched(
    fetcher: Fetcher,
    stand_in: StandIn,
    given: Path,
    case: tuple[Callable[[Path], None], str, str],
) -> None:
    change, sentence, last_asked = case
    change(given)
    stand_in.serve_repository(REPOSITORY, given, branch="main", commit=COMMIT)
    done = fetcher.run(REPOSITORY)
    assert done.stderr == sentence.format(hub=stand_in.url) + "\n"
    assert done.returncode == 1
    assert "model.safetensors" not in asked(stand_in)
    assert asked(stand_in)[-1] == last_asked
    assert fetcher.listing() == set()


def cast(folder: Path, dtype: str) -> None:
    # Imported on demand, as `build` does.
    from tests.integration.encoder.random_models import cast_weights  # noqa: PLC0415

    cast_weights(folder, dtype)


def test_float16_becomes_float32_once_and_for_all(
    fetcher: Fetcher, given: Path, original: Path
) -> None:
    cast(given, "float16")
    assert fetcher.run(given).returncode == 0
    found = load_file(fetcher.model_dir / "model.safetensors")
    for name, tensor in load_file(original / "model.safetensors").items():
        assert found[name].dtype == np.float32
        np.testing.assert_array_equal(found[name], tensor.astype(np.float16))
    assert "embeddings.position_ids" not in found
    assert LazyEncoder(fetcher.model_dir, NAME).encode(TEXTS).dtype == np.float32


@pytest.mark.parametrize("kind", ["bfloat16", "float64"])
def test_weights_of_another_type_are_named(
    fetcher: Fetcher, given: Path, kind: str
) -> None:
    cast(given, kind)
    done = fetcher.run(given)
    assert done.stderr == (
        f"{NAME} cannot be fetched from {given}: its weights are {kind}, and only"
        " float32 and float16 are supported.\n"
    )
    assert fetcher.listing() == set()


def without_a_layer(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors.pop("encoder.layer.1.output.dense.bias")
    save_file(tensors, folder / "model.safetensors")


def without_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def with_no_safetensors(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"\xff" * 100)


def with_another_size(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_bytes()) | {"hidden_size": 24}
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (without_a_layer, "has no tensor encoder.layer.1.output.dense.bias"),
        (without_weights, "it has no model.safetensors"),
        (with_no_safetensors, "model.safetensors is not a safetensors file"),
        (with_another_size, "embeddings.word_embeddings.weight has the shape"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    fetcher: Fetcher, given: Path, change: Callable[[Path], None], fault: str
) -> None:
    change(given)
    done = fetcher.run(given)
    assert fault in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.returncode == 1
    assert fetcher.listing() == set()


def test_another_models_folder_is_not_overwritten(
    fetcher: Fetcher, hub: StandIn, given: Path
) -> None:
    fetcher.run(REPOSITORY)
    other = given.rename(given.with_name("other"))
    done = fetcher.run(other)
    assert done.stderr == (
        f"{fetcher.model_dir} contains {NAME}: choose another folder for other with"
        " --model-dir.\n"
    )
    assert verify_model(fetcher.model_dir, NAME).name == NAME


def test_prompts_may_be_given_where_the_checkpoint_says_none(
    fetcher: Fetcher, given: Path
) -> None:
    prompts = ("--query-prompt", "ask: ", "--passage-prompt", "text: ")
    assert fetcher.run(given, *prompts).returncode == 0
    encoder = LazyEncoder(fetcher.model_dir, NAME)
    plain = fetcher.home / "models" / "plain"
    assert fetcher.run(given, "--model-dir", plain).returncode == 0
    without = LazyEncoder(plain, NAME)
    np.testing.assert_array_equal(encoder.encode(["sql"]), without.encode(["ask: sql"]))
    np.testing.assert_array_equal(
        PassageEncoder(encoder).encode(["sql"]), without.encode(["text: sql"])
    )


def test_the_prompts_of_multilingual_e5_are_known(
    fetcher: Fetcher, given: Path
) -> None:
    named = given.rename(given.with_name("multilingual-e5-small"))
    assert fetcher.run(named).returncode == 0
    config = fetcher.model_dir / "config_sentence_transformers.json"
    assert json.loads(config.read_bytes())["prompts"] == {
        "query": "query: ",
        "passage": "passage: ",
    }


@pytest.mark.parametrize("source", ["a/b/c", "../up", "acme/tiny bert", "acme/x@", ""])
def test_an_invalid_name_is_refused(fetcher: Fetcher, source: str) -> None:
    done = fetcher.run(source) if source else fetcher.run(MODEL="a/b/c")
    assert "NAME, ORGANISATION/NAME or ORGANISATION/NAME@REVISION" in done.stderr
    assert done.returncode == 2
    assert not fetcher.model_dir.exists()
