"""Fetch any checkpoint that the encoder supports, and record its hashes."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from app.commands.fetch_model.float32 import to_float32
from app.commands.fetch_model.installing import (
    FetchError,
    install,
    reason,
    staged,
    write,
)
from app.commands.fetch_model.sources import FileSource, Hub, NotThereError, SourceError
from app.encoder.checkpoint import Manifest, read_manifest, verify_model
from app.encoder.layout import (
    CONFIG,
    MODULES,
    PROMPTS,
    TOKENIZER_CONFIG,
    WINDOW,
    check_architecture,
    pooling_file,
    read_spec,
)
from app.encoder.lazy import WEIGHTS
from app.encoder.library_tokens import LibraryTokens
from app.encoder.safetensors import SafeTensors
from app.encoder.spec import ModelSpec, Prompts
from app.encoder.weights import Weights
from app.errors import ModelUnavailableError
from app.query.model_source import ModelSource

TOKENIZER = "tokenizer.json"
# A configuration file has a few hundred bytes, a tokenizer of 250,000 tokens 17 MB.
MAX_CONFIG_BYTES = 1 << 20
MAX_TOKENIZER_BYTES = 1 << 27

# Prompts that the model cards document but the checkpoints do not contain.
KNOWN_PROMPTS = {
    f"multilingual-e5-{size}": Prompts("query: ", "passage: ")
    for size in ("small", "base", "large")
}


@dataclass(frozen=True)
class CheckpointFetch:
    """Fetches one checkpoint. `prompts` replace those of the checkpoint."""

    model: ModelSource
    source: FileSource
    prompts: Prompts | None = None

    def run(self, model_dir: Path) -> FileSource | None:
        """Fetch the files unless `verify_model(model_dir, name)` passes already.

        Returns the source, or None if nothing was to do. Raises UnsupportedModelError
        for a model that the encoder does not support, FetchError if the source lacks
        files, and OSError if `model_dir` cannot be written.
        """
        with staged(model_dir) as staging:
            if self._is_complete(model_dir):
                return None
            staging.mkdir()
            try:
                manifest = self._stage(staging)
            except (SourceError, OSError) as exc:
                raise FetchError(
                    f"{self.model.name} cannot be fetched from {self.source}:"
                    f" {reason(exc)}."
                ) from exc
            install(staging, model_dir, manifest)
        return self.source

    def _is_complete(self, model_dir: Path) -> bool:
        """Raises FetchError if the folder contains another model."""
        try:
            found = read_manifest(model_dir)
        except ModelUnavailableError:
            return False
        if found.name != self.model.name:
            raise FetchError(
                f"{model_dir} contains {found.name}: choose another folder for"
                f" {self.model.name} with --model-dir."
            )
        # A local folder may change, but a revision on the hub never does.
        is_same = found.revision == self.model.revision or not self.model.revision
        if self.prompts or not isinstance(self.source, Hub) or not is_same:
            return False
        try:
            verify_model(model_dir, found.name)
        except ModelUnavailableError:
            return False
        return found.repository == self.model.repository

    def _stage(self, staging: Path) -> Manifest:
        source, revision = self.source, "local"
        if isinstance(source, Hub):
            # All files from one commit, even if the branch moves during the fetch.
            source = source.at_commit(CONFIG)
            revision = source.revision
        files = _Files(source, staging)
        spec = self._stage_configuration(files)
        files.get(TOKENIZER, limit=MAX_TOKENIZER_BYTES)
        LibraryTokens(staging / TOKENIZER, max_tokens=spec.max_tokens)
        files.get(WEIGHTS)
        to_float32(staging / WEIGHTS)
        Weights.of(SafeTensors(staging / WEIGHTS), spec.architecture)
        return Manifest(
            name=self.model.name,
            repository=self._repository(),
            revision=revision,
            dimension=spec.architecture.dimension,
            max_tokens=spec.max_tokens,
            files=_hashes(staging),
        )

    def _stage_configuration(self, files: "_Files") -> ModelSpec:
        """Fetch the small files first: they show whether the model is supported."""
        staging = files.staging
        files.get(CONFIG, limit=MAX_CONFIG_BYTES)
        check_architecture(staging)
        files.get(MODULES, limit=MAX_CONFIG_BYTES)
        pooling = pooling_file(staging)
        (staging / pooling).parent.mkdir()
        files.get(pooling, limit=MAX_CONFIG_BYTES)
        for name in (TOKENIZER_CONFIG, WINDOW, PROMPTS):
            files.get_if_there(name, limit=MAX_CONFIG_BYTES)
        spec = read_spec(staging)
        prompts = self.prompts
        if prompts is None and spec.prompts == Prompts():
            prompts = KNOWN_PROMPTS.get(self.model.name)
        if prompts is not None:
            _write_prompts(staging / PROMPTS, prompts)
        return read_spec(staging)

    def _repository(self) -> str:
        is_hub = isinstance(self.source, Hub)
        return self.model.repository if is_hub else str(self.source)


@dataclass(frozen=True)
class _Files:
    source: FileSource
    staging: Path

    def get(self, name: str, *, limit: int | None = None) -> None:
        path = self.staging / name
        if limit is None:
            write(self.source.blocks(name), path)
        else:
            write(self.source.blocks(name), path, limit=limit)

    def get_if_there(self, name: str, *, limit: int) -> None:
        try:
            self.get(name, limit=limit)
        except NotThereError:
            (self.staging / name).unlink(missing_ok=True)


def _write_prompts(path: Path, prompts: Prompts) -> None:
    content = json.loads(path.read_bytes()) if path.exists() else {}
    content |= {
        "prompts": {"query": prompts.query, "passage": prompts.passage},
        "default_prompt_name": None,
    }
    write([json.dumps(content, indent=2).encode()], path)


def _hashes(staging: Path) -> dict[str, str]:
    hashes = {}
    for path in sorted(staging.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256")
            hashes[str(path.relative_to(staging))] = digest.hexdigest()
    return hashes
