"""The examples that the pages include keep what the pages say of them; the pages' own blocks run them further."""

import importlib.util
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

import jaxrl
from jaxrl.experiment import settings

EXAMPLES = Path(__file__).parents[2] / "examples"


def load(name):
    spec = importlib.util.spec_from_file_location(f"examples_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_custom_environment_keeps_the_contract():
    env = load("corridor").make_corridor(length=6)
    assert not jaxrl.envs.check(env).warnings
    state, observation = env.reset(jax.random.key(0))
    returns = 0.0
    for steps in range(1, 7):  # noqa: B007
        state, timestep = env.step(state, jnp.asarray(1), jax.random.key(0))
        returns += float(timestep.reward)
        if timestep.terminated:
            break
    # From position p, which is observed as p / 6, it takes 6 - p steps, all but the last of which cost 0.01.
    assert steps == 6 - round(6 * float(observation[0]))
    assert returns == pytest.approx(1.0 - 0.01 * (steps - 1))


def test_the_custom_environment_is_about_twenty_lines():
    text = (EXAMPLES / "corridor.py").read_text()
    body = [line for line in text[text.index("def make_corridor") :].splitlines() if line.strip()]
    assert len(body) <= 20


def test_the_custom_algorithm_is_about_a_hundred_lines():
    assert len((EXAMPLES / "reinforce.py").read_text().splitlines()) <= 115


def test_the_custom_algorithm_can_be_given_a_name(monkeypatch):
    monkeypatch.setitem(jaxrl.algorithms.ALGORITHMS, "reinforce", load("reinforce"))
    changes = {"hp": {"learning_rate": "1e-3"}, "config": {"num_envs": "2"}}
    made = settings.make_settings("reinforce", "CartPole-v1", 100, **changes)
    agent, _, hp = settings.build(made)
    assert agent.name == "reinforce" and agent.config.num_envs == 2 and hp.learning_rate == 1e-3
