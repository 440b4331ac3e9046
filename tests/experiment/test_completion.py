import subprocess
import sys

import pytest

from jaxrl.algorithms import NAMES
from jaxrl.experiment import catalog, flags
from jaxrl.experiment.cli import main
from jaxrl.experiment.commands import COMMANDS
from jaxrl.experiment.completion import SHELLS, candidates


def completed(line):
    return candidates(line.split(" "), COMMANDS)


@pytest.mark.parametrize("algorithm", NAMES)
def test_fields_are_those_that_importing_finds(algorithm):
    assert sorted(catalog.fields(algorithm)) == sorted(flags.of_algorithm(algorithm))


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("", list(COMMANDS)),
        ("tr", ["train"]),
        ("train qr", ["qr_dqn"]),
        ("train ", list(NAMES)),
        ("train ppo ", []),  # file names, by the shell
        ("train ppo --out ", []),
        ("train --seed ", []),
        ("trian ", []),
        ("train ppo --hp.disc", ["--hp.discount"]),
        ("train ppo --tot", ["--total-steps"]),
        ("train ppo --total-steps 9 --tot", []),  # given already
        ("train --hp.disc", []),  # of which algorithm?
        ("train ppo --env Catch", ["Catch-bsuite"]),
        ("train ppo --env gymnasium:Acro", ["gymnasium:Acrobot-v1"]),
        ("train ppo --env=gymn", ["--env=gymnax:", "--env=gymnasium:"]),
        ("train ppo --env gymnasium:CartPole-v1 --env.sut", ["--env.sutton_barto_reward"]),
        ("train c51 --preset rain", []),
        ("train c51 --preset no", ["none"]),
        ("sweep dqn --grid dou", ["double_q="]),
        ("eval runs/a --checkpoint ", ["latest", "best"]),
        ("eval runs/a --st", ["--stochastic"]),
        ("eval ", []),
        ("list ", ["algorithms", "presets", "environments"]),
        ("list environments Acro", ["Acrobot-v1"]),
        ("list presets qr", ["qr_dqn"]),
        ("completion z", ["zsh"]),
    ],
)
def test_ways_to_go_on(line, found):
    assert completed(line) == found


def test_presets_are_those_of_the_algorithm():
    names = completed("train td3 --preset ")
    assert names == ["none", *catalog.presets("td3")] and len(names) > 2


def test_words_are_printed_line_by_line_and_a_script_for_each_shell(capsys):
    assert main(["completion", "words", "train", "ppo", "--num-s"]) == 0
    assert capsys.readouterr().out == "--num-seeds\n"
    # What would be help or an error elsewhere is a word to complete here.
    assert main(["completion", "words", "train", "ppo", "-h", "--num-s"]) == 0
    assert capsys.readouterr().out == "--num-seeds\n"
    assert main(["completion", "words", "no-such-command", ""]) == 0
    assert capsys.readouterr().out == ""
    for shell, script in SHELLS.items():
        assert main(["completion", shell]) == 0
        assert capsys.readouterr().out == script and "completion words" in script
    assert main(["completion", "tcsh"]) == 2
    assert "must be one of bash, zsh, fish" in capsys.readouterr().err


def test_bash_completes_a_line(tmp_path):
    """A real bash runs the script as it does at the Tab key."""
    program = tmp_path / "jaxrl"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m jaxrl "$@"\n')
    program.chmod(0o755)
    script = SHELLS["bash"] + (
        "complete_line() {\n"
        '    COMP_LINE="$1" COMP_POINT=${#1} COMPREPLY=()\n'
        f'    _jaxrl {program}\n'
        '    (IFS=,; echo "${COMPREPLY[*]}")\n'
        "}\n"
        "complete_line 'jaxrl train munch'\n"
        "complete_line 'jaxrl train ppo --env gymnasium:Acro'\n"
        "complete_line 'jaxrl eval runs/a --checkpoint '\n"
        "complete -p jaxrl\n"
    )  # fmt: skip
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.splitlines() == [
        "munchausen_dqn",
        "Acrobot-v1",  # bash holds what comes before the colon for another word
        "latest,best",
        "complete -o default -F _jaxrl jaxrl",
    ]
