"""The commands that the README and the pages show are ones that the program understands."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import tyro

from jaxrl.experiment import cli, settings
from jaxrl.experiment.commands import COMMANDS, Sweep, Train
from jaxrl.experiment.grid import expand

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(jaxrl [a-z]+ [^`]*)`")


def commands():
    """Each ``jaxrl ...`` of a shell block, and those in the text that are complete."""
    found = {}
    for page in PAGES:
        text = page.read_text()
        lines = [line for block in FENCE.findall(text) for line in block.splitlines()]
        shown = [part.strip() for line in lines for part in re.split(r"&&|[|]", line)]
        inline = [re.split(r"\\?[|]", command)[0] for command in INLINE.findall(FENCE.sub("", text))]
        shown += [command for command in inline if not re.search(r"\b(ALGO|DIR|ID|NAME|N|S|K)\b", command)]
        for command in shown:
            if "..." in command:
                continue
            words = shlex.split(command, comments=True)
            if words and words[0].endswith("jaxrl"):
                found[" ".join(words[1:])] = words[1:]
    return found


@pytest.mark.parametrize("words", commands().values(), ids=commands().keys())
def test_a_command_is_understood(words, capsys):
    if "--help" in words:
        assert cli.main(words) == 0
        return
    words, dynamic = cli.extract_dynamic(words)
    command = tyro.extras.subcommand_cli_from_dict(COMMANDS, args=words)
    if not isinstance(command, Train | Sweep) or command.algorithm is None:
        return
    # Names and values of --hp, --config and --grid, and whether a preset says how long to train.
    made = settings.make_settings(
        command.algorithm, command.env, command.total_steps, preset=command.preset,
        hp=dynamic["hp"], config=dynamic["config"], env_parameters=dynamic["env"],
    )  # fmt: skip
    if isinstance(command, Sweep):
        expand(made, cli.parse_grid(command.grid))


def test_commands_are_found():
    assert {words[0] for words in commands().values()} >= set(COMMANDS)


def test_the_test_command_is_one_line_between_its_marks():
    """Continuous integration takes it from there."""
    pipeline = "sed -n '/<!-- test command -->/,/<!-- end -->/p' README.md | grep -v -e '^<!--' -e '^```' -e '^$'"
    out = subprocess.run(["bash", "-c", pipeline], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert out.count("\n") == 1
    assert out.startswith("python3 -m venv .venv && ") and out.endswith(" && .venv/bin/pytest -q\n")
