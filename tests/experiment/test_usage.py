import dataclasses
import io
import re

import pytest
from rich.console import Console

from jaxrl.algorithms import ALGORITHMS
from jaxrl.experiment import cli, commands, listing, usage
from jaxrl.experiment.groups import FIRST, GROUPS, OTHERS, RUN_GROUPS, grouped


def fields(module):
    return [*module.Hyperparameters.__dataclass_fields__, *module.Config.__dataclass_fields__]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_field_belongs_to_a_group(algorithm):
    sections = grouped(fields(ALGORITHMS[algorithm]))
    assert OTHERS not in sections, "give them a group in jaxrl/experiment/groups.py"
    assert next(iter(sections)) == FIRST and 8 <= len(sections[FIRST]) <= 20


def test_no_name_is_in_two_groups_and_every_name_is_an_option_of_some_algorithm():
    names = [name for listed in GROUPS.values() for name in listed.split()]
    assert len(names) == len(set(names))
    assert set(names) == {name for module in ALGORITHMS.values() for name in fields(module)}


def test_the_options_of_a_run_belong_to_groups_too():
    names = [name for listed in RUN_GROUPS.values() for name in listed.split()]
    records = commands.Train, commands.Sweep
    options = {f.name for record in records for f in dataclasses.fields(record)} - {"algorithm"}
    assert len(names) == len(set(names)) and set(names) == options


def test_groups_keep_their_order_and_unknown_names_come_last():
    sections = grouped(["torso", "mine", "clip", "learning_rate"])
    assert sections == {FIRST: ["learning_rate", "clip"], "Network": ["torso"], OTHERS: ["mine"]}


def test_the_help_of_an_algorithm_fits_80_columns(capsys, monkeypatch):
    file = io.StringIO()
    monkeypatch.setattr(listing, "make_console", lambda: Console(file=file, width=80))
    assert cli.main(["train", "ppo", "--help"]) == 0
    head, text = capsys.readouterr().out, file.getvalue()
    assert head.startswith("usage: jaxrl train ppo --env ID")
    assert max(map(len, (head + text).splitlines())) <= 80
    titles = [line for line in text.splitlines() if line and not line.startswith((" ", "--"))]
    assert titles == [t for t in (*GROUPS, *RUN_GROUPS) if t in titles] and {FIRST, "Network", "Run"} <= set(titles)
    options = re.findall(r"^--(\S+)", text, re.MULTILINE)
    prefixed = [f"hp.{name}" for name in ALGORITHMS["ppo"].Hyperparameters.__dataclass_fields__]
    prefixed += [f"config.{name}" for name in ALGORITHMS["ppo"].Config.__dataclass_fields__]
    assert set(prefixed) <= set(options) and options[0] == "hp.learning_rate"
    # Defaults, ranges, and the names that a field takes.
    plain = " ".join(text.split())
    for part in (
        "(> 0) [0.00025]",
        "[64,64]",
        "One of tanh, relu,",
        "--total-steps N",
        "[the preset's]",
        "--no-progress",
    ):
        assert part in plain


@pytest.mark.parametrize(
    ("words", "algorithm"),
    [
        ("--help", None),
        ("ppo --help", "ppo"),
        ("--env CartPole-v1 ppo -h", "ppo"),
        ("pp0 --help", "pp0"),
        ("--env CartPole-v1 --help", None),
    ],
)
def test_which_algorithm_help_is_wanted_for(words, algorithm):
    assert usage.algorithm_in(words.split()) == algorithm


def test_rows_of_a_sweep(capsys):
    sections = usage.run_sections(commands.Sweep)
    rows = {option.text: option.default for options in sections.values() for option in options}
    assert rows["--env ID"] == "required" and rows["--seeds K"] == "8" and rows["--grid NAME=a,b,c"] == ""
    assert cli.main(["sweep", "pp0", "--help"]) == 2
    assert "did you mean 'ppo'?" in capsys.readouterr().err
