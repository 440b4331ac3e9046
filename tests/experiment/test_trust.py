"""A run's folder is data: opening one runs no code that the user did not name."""

import sys

import pytest

import jaxrl
from jaxrl.envs import registry
from jaxrl.experiment import settings as run_settings
from jaxrl.experiment.cli import main
from jaxrl.experiment.errors import UserError

COMMANDS = (["eval"], ["play"], ["train", "--resume"])
MODULE = """
import os, pathlib
from os import system
pathlib.Path({mark!r}).write_text("imported")

def make(command=None):
    from jaxrl.envs import probes
    pathlib.Path({mark!r}).write_text("called")
    return probes.two_steps().env

class NoEnvironment:
    def __init__(self, command=None):
        make()
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A function that makes the folder of a run with an environment; the current directory is empty."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)

    def make(env, **parameters):
        directory = tmp_path / "run"
        directory.mkdir()
        made = run_settings.make_settings("ppo", "CartPole-v1", 1000, env_parameters=parameters, preset="none")
        record = run_settings.to_dict(made) | {"env": env}
        (directory / run_settings.FILE).write_text(run_settings.to_yaml(record))
        return directory

    return make


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module that says what was done with it: the path of it, and the path of what it says."""
    name, mark = "made_for_this_test", tmp_path / "mark"
    place = tmp_path / "elsewhere"
    place.mkdir()
    monkeypatch.syspath_prepend(place)
    (place / f"{name}.py").write_text(MODULE.format(mark=str(mark)))
    yield name, mark, place
    sys.modules.pop(name, None)


def error_of(capsys, *words):
    assert main([str(word) for word in words]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("jaxrl: error: ")]
    return line


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
@pytest.mark.parametrize("env", ["os:system", "gymnasium:os:system-v0", "subprocess:call", "jaxrl.experiment.cli:main"])
def test_what_a_folder_names_is_neither_called_nor_imported(folder, tmp_path, env, command, capsys):
    mark = tmp_path / "mark"
    directory = folder(env, command=f"touch {mark}")
    line = error_of(capsys, *command, directory)
    assert env in line and "give the environment again if you trust it" in line
    assert not mark.exists()


def test_a_module_elsewhere_is_imported_only_if_the_user_names_it(folder, module, capsys):
    name, mark, _ = module
    directory = folder(f"{name}:make")
    for command in COMMANDS:
        assert "not in the current directory" in error_of(capsys, *command, directory)
        assert not mark.exists()
    # What is missing then is a checkpoint: the environment was made.
    assert "there is no checkpoint" in error_of(capsys, "eval", directory, "--env", f"{name}:make")
    assert mark.read_text() == "called"
    mark.unlink()
    with pytest.raises(UserError, match="there is no checkpoint"):
        jaxrl.evaluate_run(directory, env=f"{name}:make")
    assert mark.exists()


def test_a_module_in_the_current_directory_is_told(folder, module, tmp_path, monkeypatch, capsys):
    name, mark, place = module
    monkeypatch.chdir(place)
    directory = folder(f"{name}:make")
    assert main(["eval", str(directory)]) == 2
    told, error = capsys.readouterr().err.splitlines()
    assert "made by code in the current directory" in told and str(place / name) in told
    assert "there is no checkpoint" in error and mark.read_text() == "called"


@pytest.mark.parametrize("inside", [True, False], ids=["in the run's folder", "in a package around it"])
def test_a_module_that_comes_with_the_run_is_not_imported(folder, module, tmp_path, monkeypatch, inside, capsys):
    name, mark, place = module
    directory = folder(f"{name}:make")
    if inside:
        (place / f"{name}.py").rename(directory / f"{name}.py")
        monkeypatch.syspath_prepend(directory)
        monkeypatch.chdir(directory)
    else:
        package = tmp_path / "here" / "downloaded_runs"
        package.mkdir()
        (place / f"{name}.py").rename(package / f"{name}.py")
        monkeypatch.syspath_prepend(package.parent)
        config = directory / run_settings.FILE
        config.write_text(config.read_text().replace(f"{name}:make", f"{package.name}.{name}:make"))
        directory = directory.rename(package / "run")
    assert "comes with that folder" in error_of(capsys, "eval", directory)
    assert not mark.exists()


@pytest.mark.parametrize("attribute", ["system", "NoEnvironment", "os", "nothing"])
def test_there_only_factories_are_called(folder, module, monkeypatch, attribute, capsys):
    name, mark, place = module
    monkeypatch.chdir(place)
    directory = folder(f"{name}:{attribute}", command=f"touch {mark}2")
    assert "is not called" in error_of(capsys, "eval", directory)
    assert mark.read_text() == "imported" and not mark.with_name("mark2").exists()


def test_ids_that_such_a_module_registers_with_gymnasium_are_made(folder, module, monkeypatch, capsys):
    name, mark, place = module
    monkeypatch.chdir(place)
    (place / f"{name}.py").write_text("import gymnasium\ngymnasium.register('Trusted/My-v0', lambda: 1 / 0)\n")
    directory = folder(f"{name}:Trusted/My-v0")
    assert "not called" not in (line := error_of(capsys, "eval", directory)) and "division" in line


def test_python_itself_makes_no_environments(tmp_path, capsys):
    mark = tmp_path / "mark"
    line = error_of(
        capsys, "train", "ppo", "--env", "os:system", "--env.command", f"touch {mark}", "--out", tmp_path / "run"
    )
    assert "os belongs to Python itself" in line and not mark.exists() and not (tmp_path / "run").exists()


def test_a_name_that_was_registered_in_another_process(folder, capsys):
    directory = folder("MyEnv")
    line = error_of(capsys, "eval", directory)
    assert "jaxrl.envs.register" in line and "'MyEnv'" in line


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.system [touch MARK]", "!!python/name:os.system", "!env x"])
def test_tags_of_yaml_are_refused(folder, tmp_path, tag, capsys):
    directory, mark = folder("CartPole-v1"), tmp_path / "mark"
    with (directory / run_settings.FILE).open("a") as file:
        file.write(f"wandb: {tag.replace('MARK', str(mark))}\n")
    assert "is not valid YAML" in error_of(capsys, "eval", directory)
    assert not mark.exists()


@pytest.mark.parametrize("id", ["gymnasium:GymV26Environment-v0", "gymnasium:my_module:GymV21Environment-v0"])
def test_wrappers_of_older_environments_count_as_a_package_that_imports_by_name(id):
    assert registry.imported_by(id) == "gym"
