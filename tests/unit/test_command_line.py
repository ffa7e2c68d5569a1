"""How messages name a command: by its script in a checkout, by name when installed."""

import subprocess
import sys
from pathlib import Path

import pytest

from app.commands.program import COMMANDS
from app.errors import command_line
from tests.support.service import ROOT


@pytest.mark.parametrize("name", COMMANDS)
def test_in_a_checkout_a_command_is_a_script_that_is_there_or_the_program(
    name: str,
) -> None:
    said = command_line(name)
    if name == "serve":  # `python -m app`
        assert said == "job-recommender serve"
        return
    program, script = said.split()
    assert program == "python"
    (command,) = [
        line.removeprefix('run("').removesuffix('")')
        for line in (ROOT / script).read_text().splitlines()
        if line.startswith('run("')
    ]
    module = f"app.commands.{command}"
    assert COMMANDS[name].module in (module, f"{module}.command")


def test_without_the_checkout_a_command_is_one_of_the_program(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    for name in ("__init__.py", "errors.py"):
        (tmp_path / "app" / name).write_text((ROOT / "app" / name).read_text())
    # Another package's folder of this name says nothing.
    (tmp_path / "scripts").mkdir()
    names = "print(command_line('migrate'), command_line('embed'))"
    script = f"from app.errors import command_line; {names}"
    said = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert said == "job-recommender migrate job-recommender embed\n"
