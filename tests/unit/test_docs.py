"""Links, paths and versions in the documentation."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from app import __version__
from app.commands.program import COMMANDS
from tests.support.service import ROOT

FOLDERS = ("", "docs", "docs/decisions", "deploy", "benchmarks", "evaluation", "tests")
PAGES = sorted(page for folder in FOLDERS for page in (ROOT / folder).glob("*.md"))
LINK = re.compile(r"\]\(([^)#\s]+)")
# `app/query/cursor.py`, `docs/decisions/`, `tests/unit/`: from the top of the project.
NAMED = re.compile(
    r"`((?:app|benchmarks|clients|deploy|docs|evaluation|migrations|samples|scripts"
    r"|tests)/[\w./-]+)`"
)
# `app/ranking/NAME.py` is a placeholder.
PLACEHOLDER = re.compile(r"/[A-Z]+\.py$")
TABLE = re.compile(r"CREATE TABLE (?:IF NOT EXISTS )?recommender\.([a-z_]+)")
MAX_README_WORDS = 650
RUFF = re.compile(r"^ruff==(.+)$", re.MULTILINE)


def absent_from(page: Path) -> Iterator[str]:
    text = page.read_text()
    for link in LINK.findall(text):
        if "://" not in link and not (page.parent / link).exists():
            yield link
    for name in NAMED.findall(text):
        if not PLACEHOLDER.search(name) and not (ROOT / name).exists():
            yield name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_paths_lead_somewhere(page: Path) -> None:
    absent = sorted(set(absent_from(page)))
    assert not absent, f"{page.relative_to(ROOT)} names what does not exist: {absent}"


def test_every_decision_is_listed_and_has_a_number_of_its_own() -> None:
    folder = ROOT / "docs/decisions"
    records = sorted(page.name for page in folder.glob("*.md"))
    records.remove("README.md")
    listed = re.findall(
        r"^\| \[\d+\]\((.+?)\)", (folder / "README.md").read_text(), re.MULTILINE
    )
    assert listed == records
    numbers = [name.partition("-")[0] for name in records]
    assert numbers == [f"{n:04}" for n in range(1, len(records) + 1)]


def test_the_glossary_explains_each_term_once_and_in_order() -> None:
    text = (ROOT / "docs/glossary.md").read_text()
    terms = re.findall(r"^\| ([^|]+?) \| [^|]+\.\)? \|$", text, re.MULTILINE)
    assert len(terms) == text.count("\n| ") - 2
    assert terms == sorted(set(terms), key=str.casefold)


def test_every_table_of_ours_is_named() -> None:
    page = (ROOT / "docs/tables.md").read_text()
    files = (ROOT / "migrations").rglob("*.sql")
    made = {name for file in files for name in TABLE.findall(file.read_text())}
    assert "job_state" in made
    absent = sorted(name for name in made if f"`{name}`" not in page)
    assert not absent, f"docs/tables.md names no {absent}"


def test_the_readme_stays_short() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.split()) <= MAX_README_WORDS, "move details to docs/"


def test_the_changelog_has_the_version() -> None:
    headings = re.findall(
        r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )
    assert headings[0] == "Unreleased"
    assert re.fullmatch(rf"{__version__} \(\d{{4}}-\d\d-\d\d\)", headings[1])


def test_every_command_is_named_beside_its_script() -> None:
    page = (ROOT / "docs/database.md").read_text()
    named = re.findall(r"^\| `job-recommender ([a-z-]+)` \|", page, re.MULTILINE)
    assert sorted(named) == sorted(COMMANDS)
    scripts = set(re.findall(r"`python scripts/(\w+)\.py` \|$", page, re.MULTILINE))
    ours = {path.stem for path in (ROOT / "scripts").glob("[a-z]*.py")}
    assert ours - scripts == {"run_local"}


def test_pre_commit_runs_the_pinned_ruff() -> None:
    (pinned,) = RUFF.findall((ROOT / "requirements-dev.txt").read_text())
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    found = [
        needed
        for repository in hooks["repos"]
        for hook in repository["hooks"]
        for needed in hook["additional_dependencies"]
    ]
    assert set(found) == {f"ruff=={pinned}"}
