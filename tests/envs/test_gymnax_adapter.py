from types import SimpleNamespace

import gymnasium
import gymnax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

from jaxrl import envs
from jaxrl import spaces as jax_spaces
from jaxrl.envs import gymnax_adapter
from jaxrl.envs.rendering import CLASSIC


class Params(SimpleNamespace):
    def replace(self, **changes):
        return Params(**{**vars(self), **changes})


class FiveValues:
    """An environment as gymnax made them before 1.0: ``done`` is a termination or the time limit."""

    default_params = Params(max_steps_in_episode=3, length=5)

    def observation_space(self, params):
        return SimpleBox(0, np.inf, (1,), jnp.float32)

    def action_space(self, params):
        return SimpleDiscrete(2)

    def reset_env(self, key, params):
        return jnp.zeros(1), {"time": 0}

    def step_env(self, key, state, action, params):
        time = state["time"] + 1
        done = (time >= params.length) | (time >= params.max_steps_in_episode)
        return jnp.full(1, time, float), {"time": time}, 1, done, {"discount": 1.0 - done, "time": time}


class SixValues(FiveValues):
    """One whose ``step_env`` separates the two."""

    def step_env(self, key, state, action, params):
        time = state["time"] + 1
        out = jnp.full(1, time, float), {"time": time}, 1
        return *out, time >= params.length, time >= params.max_steps_in_episode, {}


class Separating(FiveValues):
    """One that tells its time limit by a function of the state, as gymnax does from 1.0 on."""

    def step_env(self, key, state, action, params):
        time = state["time"] + 1
        return jnp.full(1, time, float), {"time": time}, 1, time >= params.length, {}

    def is_truncated(self, state, params):
        return state["time"] >= params.max_steps_in_episode


class SimpleBox(SimpleNamespace):
    def __init__(self, low, high, shape, dtype):
        super().__init__(low=low, high=high, shape=shape, dtype=dtype)


class SimpleDiscrete(SimpleNamespace):
    def __init__(self, n):
        super().__init__(n=n)


SimpleBox.__name__, SimpleDiscrete.__name__ = "Box", "Discrete"


@pytest.mark.parametrize("kind", [FiveValues, SixValues, Separating])
@pytest.mark.parametrize(
    ("length", "terminated", "truncated"), [(5, [0, 0, 0], [0, 0, 1]), (2, [0, 1], [0, 0]), (3, [0, 0, 1], [0, 0, 0])]
)
def test_the_time_limit_is_separated_from_the_termination(kind, length, terminated, truncated, key):
    env = envs.from_gymnax(kind(), Params(max_steps_in_episode=3, length=length), name="old")
    assert env.max_episode_steps == 3
    state, observation = env.reset(key)
    assert observation.tolist() == [0.0]
    for t, (is_terminated, is_truncated) in enumerate(zip(terminated, truncated, strict=True), start=1):
        state, timestep = env.step(state, jnp.int32(0), key)
        assert (bool(timestep.terminated), bool(timestep.truncated)) == (bool(is_terminated), bool(is_truncated))
        assert timestep.next_observation.tolist() == [t]
        assert timestep.reward.dtype == jnp.float32


def test_an_environment_of_the_old_kind_keeps_the_contract():
    report = envs.check(envs.from_gymnax(FiveValues(), name="old"))
    assert report.longest == 3
    assert not report.warnings


def test_the_time_limit_of_gymnax_truncates(key):
    env = envs.make("gymnax:Pendulum-v1", max_episode_steps=3)
    step = jax.jit(env.step)
    state, _ = env.reset(key)
    ends = []
    for _ in range(3):
        state, timestep = step(state, jnp.ones(1), key)
        ends.append((bool(timestep.terminated), bool(timestep.truncated)))
    assert ends == [(False, False), (False, False), (False, True)]
    expected = [jnp.cos(state.theta), jnp.sin(state.theta), state.theta_dot]
    np.testing.assert_allclose(timestep.next_observation, expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["CartPole-v1", "MountainCar-v0", "MountainCarContinuous-v0", "Pendulum-v1"])
def test_steps_as_gymnasium_does(name, key):
    """Gymnasium's own environment, put into the same state, is the measure."""
    env = envs.make(f"gymnax:{name}")
    other = gymnasium.make(name).unwrapped
    other.reset(seed=0)
    step = jax.jit(env.step)
    state, _ = env.reset(key)
    action_space = other.action_space
    for i in range(5):
        other.state = np.array([float(getattr(state, field)) for field in CLASSIC[name]])
        action = jax_spaces.sample(action_space, jax.random.fold_in(key, i))
        native = int(action) if isinstance(action_space, spaces.Discrete) else np.asarray(action)
        observation, reward, terminated, *_ = other.step(native)
        state, timestep = step(state, action, key)
        np.testing.assert_allclose(timestep.next_observation, observation, atol=1e-5)
        np.testing.assert_allclose(timestep.reward, reward, rtol=1e-4, atol=1e-5)
        assert bool(timestep.terminated) == terminated


# One of them downloads a data set.
REGISTERED = [name for name in gymnax_adapter.names() if name != "MNISTBandit-bsuite"]
QUICK = ("CartPole-v1", "Catch-bsuite")


@pytest.mark.parametrize("name", [pytest.param(n, marks=[] if n in QUICK else pytest.mark.slow) for n in REGISTERED])
def test_registered_environments_keep_the_contract(name):
    assert len(envs.check(envs.make(f"gymnax:{name}")).passed) >= 5


def test_spaces_agree_with_gymnasium():
    for name in ("CartPole-v1", "Pendulum-v1", "MountainCar-v0", "Acrobot-v1"):
        ours, theirs = envs.make(f"gymnax:{name}"), gymnasium.make(name)
        assert ours.action_space == theirs.action_space
        assert ours.observation_space.shape == theirs.observation_space.shape
        np.testing.assert_allclose(ours.observation_space.high, theirs.observation_space.high, rtol=1e-5)


def test_parameters_and_options():
    assert envs.make("gymnax:CartPole-v1", max_steps_in_episode=7).max_episode_steps == 7
    assert envs.make("gymnax:CartPole-v1", max_episode_steps=8).max_episode_steps == 8
    assert envs.make("Breakout-MinAtar").action_space.n == 3
    assert envs.make("Breakout-MinAtar", use_minimal_action_set=False).action_space.n == 6
    with pytest.raises(ValueError, match=r"gravty=1.0: .*did you mean 'gravity'\?"):
        envs.make("gymnax:CartPole-v1", gravty=1.0)


def test_sticky_actions(key):
    env = envs.make("Breakout-MinAtar", sticky_actions=0.999_999)
    state, _ = env.reset(key)
    positions = []
    for action in (1, 2, 2):  # left, then right twice
        state, timestep = env.step(state, jnp.asarray(action), key)
        positions.append(int(jnp.argmax(timestep.observation[-1, :, 0])))
    start = int(jnp.argmax(env.reset(key)[1][-1, :, 0]))
    assert positions == [start] * 3  # the first action before is 0, which does nothing, and it stays
    plain, _ = envs.make("Breakout-MinAtar", sticky_actions=0.0).reset(key)
    assert type(plain) is type(envs.make("Breakout-MinAtar").reset(key)[0])
    for wrong in (1.0, -0.1, "often", True):
        with pytest.raises(ValueError, match=r"sticky_actions=.*must be a probability below 1"):
            envs.make("Breakout-MinAtar", sticky_actions=wrong)
    with pytest.raises(ValueError, match="did you mean 'sticky_actions'"):
        envs.make("Breakout-MinAtar", sticky_action=0.1)


def test_planes_are_booleans_and_nothing_is_lost(key):
    inner, params = gymnax.make("Breakout-MinAtar")
    env = envs.make("Breakout-MinAtar")
    assert env.observation_space.dtype == bool
    observation = env.reset(key)[1]
    assert observation.dtype == bool
    np.testing.assert_array_equal(observation.astype(jnp.float32), inner.reset_env(key, params)[0])


def test_space_conversion():
    box = gymnax_adapter.convert_space(SimpleBox(np.finfo(np.float32).min, 2.0, (2,), jnp.float32))
    assert box == spaces.Box(np.array([-np.inf, -np.inf], np.float32), np.array([2, 2], np.float32))
    assert gymnax_adapter.convert_space(SimpleBox(0, 1, (2, 2), jnp.bool_)) == spaces.MultiBinary((2, 2))
    with pytest.raises(TypeError, match="cannot convert"):
        gymnax_adapter.convert_space(object())
