import dataclasses
import gc

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

from jaxrl import envs
from jaxrl.envs import HostStep, transition_step
from jaxrl.envs.gymnasium_adapter import EnvironmentList
from jaxrl.types import TimeStep


def stepping(env, change):
    """The environment with another time step: ``change(state, timestep) -> timestep``."""

    def step(state, action, key):
        state, timestep = env.step(state, action, key)
        return state, change(state, timestep)

    return dataclasses.replace(env, step=step)


def test_a_sound_environment_passes(counting):
    report = envs.check(counting(length=4, limit=6))
    assert report.episodes == 4, "7 steps in each of 4 environments"
    assert report.longest == 4
    assert not report.warnings
    assert "passed" in str(report)


def test_an_environment_without_an_end_is_noted(counting):
    report = envs.check(counting(length=10_000))
    assert report.episodes == 0
    assert "no episode ended" in report.warnings[0]


def test_a_time_limit_that_terminates_is_noted(counting):
    assert "must set truncated" in envs.check(counting(length=5, limit=5)).warnings[0]


def wrong_dtype(env):
    return stepping(
        env, lambda s, t: t._replace(observation=t.observation.astype(int), next_observation=t.observation.astype(int))
    )


def wrong_shape(env):
    return dataclasses.replace(env, reset=lambda key: (env.reset(key)[0], jnp.zeros((2,))))


def wrong_structure(env):
    return dataclasses.replace(env, reset=lambda key: (env.reset(key)[0], {"x": jnp.zeros((1,))}))


def out_of_bounds(env):
    return dataclasses.replace(env, observation_space=spaces.Box(0, 2.5, (1,), np.float32))


def integer_reward(env):
    return stepping(env, lambda s, t: t._replace(reward=jnp.int32(1)))


def vector_reward(env):
    return stepping(env, lambda s, t: t._replace(reward=jnp.ones((1,))))


def float_end(env):
    return stepping(env, lambda s, t: t._replace(terminated=jnp.float32(0)))


def not_a_number(env):
    return stepping(env, lambda s, t: t._replace(reward=jnp.where(s[0] == 3, jnp.nan, 1.0)))


def no_timestep(env):
    return stepping(env, lambda s, t: (t.observation, t.reward, t.terminated, {}))


def python_state(env):
    return dataclasses.replace(env, reset=lambda key: ((0, env.reset(key)[0][1]), env.reset(key)[1]))


def weak_state(env):
    return dataclasses.replace(env, reset=lambda key: ((jnp.asarray(0), env.reset(key)[0][1]), env.reset(key)[1]))


def changing_state(env):
    def step(state, action, key):
        (count, start), timestep = env.step(state, action, key)
        return (count.astype(jnp.float32), start), timestep

    return dataclasses.replace(env, step=step)


def resets_itself(env):
    return envs.auto_reset(dataclasses.replace(env, step=lambda s, a, k: (s, transition_step(jnp.ones(1), 0.0, True))))


def counter_outside(env):
    calls = []

    def step(state, action, key):
        calls.append(1)
        state, timestep = env.step(state, action, key)
        return state, timestep._replace(reward=jnp.float32(len(calls)))

    return dataclasses.replace(env, step=step)


def random_reset(env):
    rng = np.random.default_rng(0)
    return dataclasses.replace(env, reset=lambda key: (env.reset(key)[0], jnp.full((1,), rng.uniform(), jnp.float32)))


def leaking(env):
    kept = []

    def step(state, action, key):
        kept.append(state[1] + 1)
        return env.step(state, action, key)

    return dataclasses.replace(env, step=step)


def python_branch(env):
    def step(state, action, key):
        return env.step(state, action, key) if state[0] < 3 else env.step(state, 0, key)

    return dataclasses.replace(env, step=step)


def too_long(env):
    return dataclasses.replace(env, max_episode_steps=2)


BROKEN = {
    wrong_dtype: "step returned an observation of dtype int32: it must be float32",
    wrong_shape: r"reset returned an observation of shape \(2,\): it must be \(1,\)",
    wrong_structure: "reset returned an observation with the structure",
    out_of_bounds: "left its space",
    integer_reward: "step returned reward of dtype int32: it must be float32",
    vector_reward: r"step returned reward of shape \(1,\)",
    float_end: "step returned terminated of dtype float32: it must be bool",
    not_a_number: "NaN",
    no_timestep: r"step must return \(state, TimeStep\), got a tuple",
    python_state: r"leaf \[0\] is a int: make it a JAX array",
    weak_state: r"leaf \[0\] has a weak type",
    changing_state: r"leaf \[0\] is int32\[\] after reset but float32\[\] after step",
    resets_itself: "step must not reset",
    counter_outside: "step is not pure",
    random_reset: "reset is not pure",
    leaking: "leaks a tracer",
    python_branch: "must be traceable by jax.jit",
    too_long: "max_episode_steps=2, but an episode went on beyond it",
}


@pytest.fixture(scope="module")
def small_heap():
    """JAX goes through all objects that it can reach to say what keeps a tracer: a minute, late in a long process."""
    gc.collect()
    gc.freeze()


@pytest.mark.usefixtures("small_heap")
@pytest.mark.parametrize("breaking", BROKEN)
def test_a_broken_environment_is_caught(breaking, counting):
    with pytest.raises(AssertionError, match=BROKEN[breaking]):
        envs.check(breaking(counting(length=4)))


def test_only_environments_are_checked(Counter):
    with pytest.raises(TypeError, match="adapt a Gymnasium environment"):
        envs.check(Counter())


# On the host.


class Reusing(EnvironmentList):
    """Returns the same array each time."""

    def step(self, action):
        timestep, valid = super().step(action)
        if not hasattr(self, "array"):
            self.array = timestep.observation
        self.array[:] = timestep.observation
        return HostStep(timestep._replace(observation=self.array, next_observation=self.array), valid)


class Changed(EnvironmentList):
    change = staticmethod(lambda timestep: timestep)

    def step(self, action):
        timestep, valid = super().step(action)
        return HostStep(self.change(timestep), valid)


class DoubleReward(Changed):
    change = staticmethod(lambda t: t._replace(reward=t.reward.astype(np.float64)))


class WrongReturn(Changed):
    change = staticmethod(lambda t: t._replace(info={**t.info, "episode_return": t.info["episode_return"] + 1}))


class NoStatistics(Changed):
    change = staticmethod(lambda t: t._replace(info={}))


class ResetAsFinal(Changed):
    change = staticmethod(lambda t: t._replace(next_observation=t.observation))


def host(Counter, kind, **options):
    env = envs.from_gymnasium(lambda: Counter(3, **options), name="counter")
    return dataclasses.replace(env, make_vector=lambda n: kind([Counter(3, **options) for _ in range(n)]))


def test_a_sound_host_environment_passes(Counter):
    env = envs.from_gymnasium(lambda: Counter(3))
    report = envs.check(env)
    assert report.longest == 3
    # Its observation counts the episodes since it was made.
    assert report.warnings == ("the same seed gave other episodes: runs on it cannot be repeated",)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Reusing, "arrays that it returned earlier"),
        (DoubleReward, "step returned reward of dtype float64: it must be float32"),
        (WrongReturn, "not the sum"),
        (NoStatistics, "episode_return"),
    ],
)
def test_a_broken_host_environment_is_caught(Counter, kind, message):
    with pytest.raises(AssertionError, match=message):
        envs.check(host(Counter, kind))


def test_reused_arrays_are_caught_although_each_episode_is_the_same():
    env = envs.make("gymnasium:CartPole-v1")
    reusing = lambda n: Reusing([env.make_single(None) for _ in range(n)])
    with pytest.raises(AssertionError, match="arrays that it returned earlier"):
        envs.check(dataclasses.replace(env, make_vector=reusing))


def test_a_lost_final_observation_is_noted(Counter):
    report = envs.check(host(Counter, ResetAsFinal))
    assert any("must be the final one" in warning for warning in report.warnings)


def test_a_time_limit_of_the_host_is_checked(Counter):
    with pytest.raises(AssertionError, match="max_episode_steps=2"):
        envs.check(dataclasses.replace(host(Counter, EnvironmentList), max_episode_steps=2))
    truncating = dataclasses.replace(host(Counter, EnvironmentList, terminates=False), max_episode_steps=3)
    assert not [w for w in envs.check(truncating).warnings if "truncated" in w]


def test_time_steps_are_pytrees():
    timestep = TimeStep(jnp.zeros(1), jnp.zeros(1), jnp.zeros(()), jnp.array(False), jnp.array(False), {})
    assert len(jax.tree.leaves(timestep)) == 5


def test_a_state_may_hold_a_key():
    def reset(key):
        return (key, jnp.int32(0)), jnp.zeros(1)

    def step(state, action, key):
        own, t = state
        own, draw = jax.random.split(own)
        return (own, t + 1), transition_step(jax.random.uniform(draw, (1,)), 1.0, t == 4)

    space = spaces.Box(0, 1, (1,), np.float32)
    env = envs.Environment("keyed", space, spaces.Discrete(2), reset, step, max_episode_steps=5)
    assert envs.check(env).episodes > 0
