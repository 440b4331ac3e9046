import importlib.util
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct
from gymnasium import spaces

from jaxrl import envs, observations, training
from jaxrl.algorithms import sac
from jaxrl.envs.brax_adapter import from_brax
from jaxrl.envs.wrappers import time_limit

pytestmark = pytest.mark.usefixtures("optimized")
OPTIMIZED = True
"""Brax's physics takes a minute and more without the optimisations that other tests do without."""


@struct.dataclass
class State:
    position: Any
    obs: Any
    reward: Any
    done: Any
    info: Any


class Line:
    """Brax's protocol in a few lines: a point is pushed along a line, until it is 1 away."""

    observation_size = 2
    action_size = 1

    def observe(self, position):
        return jnp.concatenate([position, jnp.zeros(1)])

    def reset(self, rng):
        position = jax.random.uniform(rng, (1,), minval=-0.1, maxval=0.1)
        return State(position, self.observe(position), 0.0, 0.0, {"rng": rng})

    def step(self, state, action):
        position = state.position + 0.5 * action
        done = jnp.where(jnp.abs(position[0]) > 1.0, 1.0, 0.0)
        return state.replace(position=position, obs=self.observe(position), reward=-(position[0] ** 2), done=done)


class Parts(Line):
    observation_size = {"state": (2,), "privileged_state": 3}

    def observe(self, position):
        return {"state": jnp.concatenate([position, position]), "privileged_state": jnp.zeros(3)}


@pytest.mark.parametrize("make", [Line, Parts])
def test_the_contract_is_kept(make):
    assert not envs.check(time_limit(from_brax(make()), 5)).warnings


def test_spaces_and_ends():
    env = time_limit(from_brax(Line(), name="line"), 3)
    assert env.name == "line" and env.max_episode_steps == 3
    assert env.observation_space == spaces.Box(-np.inf, np.inf, (2,), np.float32)
    assert env.action_space == spaces.Box(-1, 1, (1,), np.float32)
    parts = from_brax(Parts())
    assert {k: s.shape for k, s in parts.observation_space.spaces.items()} == {"state": (2,), "privileged": (3,)}
    assert set(parts.reset(jax.random.key(0))[1]) == {"state", "privileged"}
    shown = observations.sides(parts.observation_space, parts.action_space)
    assert shown.actor.space.shape == (2,) and set(shown.critic.space.spaces) == {"state", "privileged"}

    state, _ = env.reset(jax.random.key(0))
    ends = []
    for _ in range(3):
        state, step = env.step(state, jnp.zeros(1), jax.random.key(0))
        ends.append((bool(step.terminated), bool(step.truncated)))
    assert ends == [(False, False), (False, False), (False, True)]
    state, _ = env.reset(jax.random.key(0))
    for _ in range(3):
        state, step = env.step(state, jnp.ones(1), jax.random.key(0))
    assert bool(step.terminated) and not bool(step.truncated)


@pytest.mark.slow
def test_it_can_be_trained_on():
    env = time_limit(from_brax(Line()), 5)
    config = sac.Config(num_envs=2, hidden_sizes=(8,), batch_size=8, buffer_size=64, prefill=16)
    train = training.make_train(sac.make(env.spec, config), env, 32, num_intervals=1, eval_episodes=2)
    out = jax.jit(train)(jax.random.key(0), sac.Hyperparameters())
    assert np.isfinite(out.evaluation.episode_return).all()


@pytest.mark.skipif(importlib.util.find_spec("brax") is None, reason="needs the extra brax")
def test_brax_is_found_by_its_prefix():
    env = envs.make("brax:inverted_pendulum", backend="spring")
    assert (env.name, env.max_episode_steps, env.action_space.shape) == ("inverted_pendulum", 1000, (1,))
    with pytest.raises(ValueError, match=r"brax has no such environment; did you mean 'halfcheetah'"):
        envs.make("brax:half_cheetah")


@pytest.mark.skipif(importlib.util.find_spec("mujoco_playground") is None, reason="needs the extra playground")
def test_playground_is_found_by_its_prefix():
    env = envs.make("playground:CartpoleBalance", impl="jax")
    assert (env.name, env.max_episode_steps, env.action_space.shape) == ("CartpoleBalance", 1000, (1,))
    state, _ = jax.eval_shape(env.reset, jax.random.key(0))
    action = jax.ShapeDtypeStruct(env.action_space.shape, np.float32)
    assert jax.eval_shape(env.step, state, action, jax.random.key(0))[1].reward.shape == ()
    with pytest.raises(ValueError, match=r"imp='jax'.*did you mean 'impl'"):
        envs.make("playground:CartpoleBalance", imp="jax")


@pytest.mark.parametrize("name", ["hopper", *(pytest.param(n, marks=pytest.mark.slow) for n in ("ant", "walker2d"))])
def test_environments_that_write_into_the_state_they_are_given(name):
    pytest.importorskip("brax")
    env = envs.make(f"brax:{name}")
    state, _ = jax.eval_shape(env.reset, jax.random.key(0))
    action = jax.ShapeDtypeStruct(env.action_space.shape, np.float32)
    after, timestep = jax.eval_shape(env.step, state, action, jax.random.key(0))
    assert jax.tree.map(lambda x: (x.shape, x.dtype), after) == jax.tree.map(lambda x: (x.shape, x.dtype), state)
    assert timestep.reward.shape == ()
