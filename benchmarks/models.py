"""What a model costs the web process: memory, and milliseconds a text.

`make bench-models`, about two minutes. MiniLM is the real one; the two others have
random weights, which cost as much as trained ones. Folders of other models may be
named. Each runs under a kernel limit of 512 MB that counts the page cache, too.
"""

import csv
import itertools
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from benchmarks.cgroup import limited
from benchmarks.servers import MODEL_DIR, ROOT

PIECES = 250_000
LAYERS = 12
DIMENSION = 384
LIMIT_BYTES = 512 << 20
WIDE = 4 * DIMENSION
POSITIONS = 514
SAMPLE = ROOT / "samples" / "jobs.csv"

# The application as a server imports it; then each text is encoded by itself.
PROBE = """
import csv, sys, time
import uvicorn
import app.main
from app.config import ModelSettings, read_settings
from app.encoder.lazy import LazyEncoder
settings = read_settings(ModelSettings)
def kb(name):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))
with open(sys.argv[1], encoding="utf-8", newline="") as file:
    texts = [row["skills"] for row in csv.DictReader(file)]
encoder = LazyEncoder(settings.model_dir, settings.model_source.name)
begun = time.perf_counter()
encoder.encode_deterministic(texts[:1])
loaded = time.perf_counter()
times = []
for text in texts:
    start = time.perf_counter()
    encoder.encode_deterministic([text])
    times.append(time.perf_counter() - start)
print(
    f"{kb('RssAnon') / 1024:.0f}", f"{kb('RssFile') / 1024:.0f}",
    f"{sorted(times)[len(times) // 2] * 1000:.1f}",
    f"{loaded - begun:.1f}", sep="\\t",
)
"""


def main(folders: Sequence[str]) -> int:
    print("model\tRssAnon MB\tRssFile MB\tms a text\ts to load\tkilled", flush=True)
    print("MiniLM, 6 layers\t" + measured(MODEL_DIR), flush=True)
    for path in map(Path, folders):
        print(f"{path.name}\t" + measured(path), flush=True)
    with TemporaryDirectory() as folder:
        for name, make in {"BERT": bert, "XLM-RoBERTa": xlm_roberta}.items():
            path = Path(folder) / name
            path.mkdir()
            make(path)
            installed = Path(folder) / "installed" / name
            fetch(path, installed)
            print(f"{name}, {LAYERS} layers\t" + measured(installed), flush=True)
    return 0


def fetch(path: Path, installed: Path) -> None:
    command = [sys.executable, str(ROOT / "scripts" / "fetch_model.py"), str(path)]
    subprocess.run(
        [*command, "--model-dir", str(installed)], check=True, stdout=subprocess.DEVNULL
    )


def measured(model_dir: Path) -> str:
    settings = {
        "MODEL": model_dir.name,
        "MODEL_DIR": str(model_dir),
        # Nothing connects before a request.
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none",
    }
    forget_pages(model_dir / "model.safetensors")
    with limited("bench-models", memory_bytes=LIMIT_BYTES) as group:
        ended = subprocess.run(
            [sys.executable, "-c", PROBE, str(SAMPLE)],
            env=os.environ | settings,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            preexec_fn=lambda: group.add(os.getpid()),
        )
        kills = group.oom_kills()
    return f"{ended.stdout.strip()}\t{kills}"


def forget_pages(path: Path) -> None:
    """Empty the page cache of one file, which otherwise counts for its first reader."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def bert(path: Path) -> None:
    """A BERT with MiniLM's vocabulary of 30,522 tokens."""
    (path / "tokenizer.json").symlink_to(MODEL_DIR / "tokenizer.json")
    save(path, "bert", vocabulary=30_522, pad_token_id=0)


def xlm_roberta(path: Path) -> None:
    """An XLM-RoBERTa with a Unigram vocabulary of 250,000 tokens."""
    unigram().save(str(path / "tokenizer.json"))
    save(path, "xlm-roberta", vocabulary=PIECES, pad_token_id=1)


def unigram() -> Tokenizer:
    """The words of the sample, their letters, and random syllables."""
    pieces = {"<s>": 0.0, "<pad>": 0.0, "</s>": 0.0, "<unk>": 0.0}
    with SAMPLE.open(encoding="utf-8", newline="") as file:
        words = " ".join(row["skills"] for row in csv.DictReader(file)).split()
    pieces |= dict.fromkeys(sorted({letter for word in words for letter in word}), -9.0)
    pieces |= dict.fromkeys(sorted({f"▁{word}" for word in words}), -8.0)
    made_up = syllables()
    while len(pieces) < PIECES:
        pieces.setdefault(next(made_up), -12.0)
    tokenizer = Tokenizer(models.Unigram(list(pieces.items()), unk_id=3))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer


def syllables() -> Iterator[str]:
    rng = random.Random(7)  # noqa: S311  (no secret)
    parts = ["".join(part) for part in itertools.product("bdfglmnprst", "aeiou")]
    while True:
        piece = "".join(rng.choices(parts, k=rng.randint(1, 4)))
        yield rng.choice(["▁", ""]) + piece


def save(path: Path, model_type: str, *, vocabulary: int, pad_token_id: int) -> None:
    config = {
        "model_type": model_type,
        "hidden_act": "gelu",
        "hidden_size": DIMENSION,
        "intermediate_size": WIDE,
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": POSITIONS,
        "num_attention_heads": 12,
        "num_hidden_layers": LAYERS,
        "pad_token_id": pad_token_id,
    }
    modules = [
        {"path": "1_Pooling" if kind == "Pooling" else "", "type": f"models.{kind}"}
        for kind in ("Transformer", "Pooling")
    ]
    (path / "1_Pooling").mkdir()
    for name, content in {
        "config.json": config,
        "modules.json": modules,
        "tokenizer_config.json": {"model_max_length": 512},
        "1_Pooling/config.json": {"pooling_mode": "mean"},
    }.items():
        (path / name).write_text(json.dumps(content), encoding="utf-8")
    rng = np.random.default_rng(7)
    tensors = {
        name: rng.standard_normal(shape, np.float32) * np.float32(0.05)
        for name, shape in shapes(vocabulary)
    }
    save_file(tensors, path / "model.safetensors")


def shapes(vocabulary: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    d = DIMENSION
    for name, rows in (
        ("word_embeddings", vocabulary),
        ("position_embeddings", POSITIONS),
        ("token_type_embeddings", 1),
    ):
        yield f"embeddings.{name}.weight", (rows, d)
    norms = ["embeddings.LayerNorm"]
    for number in range(LAYERS):
        layer = f"encoder.layer.{number}"
        norms += [f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"]
        for name, outputs, inputs in (
            ("attention.self.query", d, d),
            ("attention.self.key", d, d),
            ("attention.self.value", d, d),
            ("attention.output.dense", d, d),
            ("intermediate.dense", WIDE, d),
            ("output.dense", d, WIDE),
        ):
            yield f"{layer}.{name}.weight", (outputs, inputs)
            yield f"{layer}.{name}.bias", (outputs,)
    for norm in norms:
        yield f"{norm}.weight", (d,)
        yield f"{norm}.bias", (d,)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
