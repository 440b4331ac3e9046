import importlib
import inspect
import pkgutil
import subprocess
import sys

import pytest

from jaxrl import algorithms, envs
from jaxrl.envs import registry
from jaxrl.experiment import catalog
from jaxrl.experiment.presets import PRESETS
from jaxrl.networks.activations import ACTIVATIONS


def test_algorithms_are_the_modules_of_their_room():
    modules = [importlib.import_module(f"jaxrl.algorithms.{m.name}") for m in pkgutil.iter_modules(algorithms.__path__)]
    whole = [m for m in modules if all(hasattr(m, name) for name in ("Config", "Hyperparameters", "make"))]
    assert {m.__name__.rpartition(".")[2] for m in whole} == set(algorithms.NAMES)
    summaries = {name: inspect.getdoc(module).partition("\n")[0] for name, module in algorithms.ALGORITHMS.items()}
    assert catalog.algorithms() == summaries and list(summaries) == list(algorithms.NAMES)


def test_an_algorithm_with_a_name_of_its_own_is_there(monkeypatch):
    monkeypatch.setitem(algorithms.ALGORITHMS, "mine", algorithms.dqn)
    assert catalog.algorithms()["mine"] == catalog.algorithms()["dqn"]
    assert algorithms.get("mine") is algorithms.dqn


def test_environments_are_those_that_importing_finds(monkeypatch):
    assert tuple(catalog.SUITES) == tuple(registry.SUITES)
    envs.names()  # the simulator of Atari registers further ids with Gymnasium
    names = envs.names()
    assert catalog.environments() == names and {"gymnax", "gymnasium", "atari"} <= set(names)
    monkeypatch.setattr(registry, "_registered", {"mine": object})
    assert catalog.environments() == {"registered": ["mine"], **names}


def test_activations_are_those_of_the_networks():
    assert catalog.activations() == list(ACTIVATIONS)


def test_presets_of_an_algorithm():
    assert catalog.presets() == list(PRESETS)
    assert catalog.presets("td3") == [name for name in PRESETS if name.startswith("td3/")]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("names = ['a', 'b']", ["a", "b"]),
        ("names: dict[str, Any] = {'a': x.A, 'b': partial(x.B, c=1)}", ["a", "b"]),
        ("old = ['c']\nnames = list(other)", ["c"]),  # where the first has another form, the second
        ("names = ['a', other.b]", []),  # not all of them can be read: import instead
        ("names = other + ['a']", []),
        ("", []),
    ],
)
def test_what_can_be_read_out_of_a_file(source, found):
    assert catalog.texts(source, ["names", "old"]) == found


def test_a_suite_whose_file_cannot_be_read_is_imported(monkeypatch, tmp_path):
    monkeypatch.setattr(catalog, "_root", lambda package: tmp_path)
    (tmp_path / "registration.py").write_text("registered_envs = list(other)")
    assert catalog.SUITES["gymnax"]() == envs.names()["gymnax"]
    monkeypatch.setattr(catalog, "_root", lambda package: None)
    assert [names() for suite, names in catalog.SUITES.items() if suite != "gymnasium"] == [[], [], [], []]


def test_listing_imports_neither_jax_nor_a_suite_that_needs_it():
    code = (
        "import sys, time; from jaxrl.experiment.cli import main; assert main(['list']) == 0\n"
        "heavy = {'jax', 'flax', 'chex', 'gymnax', 'ale_py', 'optax', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "assert time.process_time() < 2, time.process_time()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in ("munchausen_dqn", "ppo/CartPole-v1", "Catch-bsuite", "LunarLander-v3"))
