"""What environments of other people return, and what they are given: the right value or a sentence, never a guess."""

import dataclasses

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

from jaxrl import envs
from jaxrl.envs.errors import EnvironmentFailed, InvalidValue
from jaxrl.envs.gate import checked
from jaxrl.envs.gymnasium_adapter import AdaptedVectorEnv

BYTES = spaces.Box(0, 255, (3,), np.uint8)
FLOATS = spaces.Box(-10, 10, (3,), np.float32)


class Told(gymnasium.Env):
    """Returns from ``step`` what it was told, and zeros from ``reset``."""

    action_space = spaces.Discrete(2)

    def __init__(self, space=FLOATS, observation=None, reward=1.0, terminated=False, truncated=False, late=0, **wrong):
        self.observation_space, self.observation = space, observation
        self.reward, self.ends, self.late, self.wrong = reward, (terminated, truncated), late, wrong

    def reset(self, *, seed=None, options=None):
        self.steps = 0
        return self.wrong.get("first", (zeros(self.observation_space), {}))

    def step(self, action):
        self.steps += 1
        if self.wrong.get("raises") is not None:
            raise self.wrong["raises"]
        told = self.observation is not None and self.steps > self.late
        observation = self.observation if told else zeros(self.observation_space)
        return self.wrong.get("step", (observation, self.reward, *self.ends, {}))


def zeros(space):
    if isinstance(space, spaces.Dict):
        return {name: zeros(s) for name, s in space.spaces.items()}
    return np.full(space.shape, getattr(space, "start", 0), space.dtype)


class Vector(gymnasium.vector.VectorEnv):
    """A vector environment that passes its parts on as they are."""

    def __init__(self, makes):
        self.envs = [make() for make in makes]
        self.num_envs, self.metadata = len(makes), {"autoreset_mode": AutoresetMode.NEXT_STEP}
        self.single_observation_space = self.envs[0].observation_space
        self.single_action_space = self.envs[0].action_space

    def reset(self, *, seed=None, options=None):
        return np.stack([env.reset()[0] for env in self.envs]), {}

    def step(self, actions):
        parts = list(zip(*(env.step(a) for env, a in zip(self.envs, actions, strict=True)), strict=True))
        return (*map(np.stack, parts[:4]), {})


def stepped(kind="single", count=2, steps=1, **options):
    """The last of some steps of an environment that was made in some way."""
    make = lambda: Told(**options)
    several = lambda n: Vector([make] * n)
    env = envs.from_gymnasium(make) if kind == "single" else envs.from_vector(several, name="Told")
    vector = env.make_vector(count)
    vector.reset(seed=0)
    for _ in range(steps):
        step = vector.step(np.zeros(count, np.int32))
    return step.timestep


WRONG = {
    "floats for bytes": (BYTES, np.array([0.2, 0.5, 0.9], np.float32), "dtype float32.*0.2.*uint8. takes integers"),
    "whole floats for bytes": (BYTES, np.array([1.0, 2.0, 3.0]), "dtype float64"),
    "beyond a byte": (BYTES, np.array([300, -1, 5]), "value 300.*from 0 to 255"),
    "below a byte": (BYTES, [3, -1, 5], "value -1"),
    "one number for three": (FLOATS, np.array([7.0], np.float32), r"shape \(1,\), \[7.\].*has the shape \(3,\)"),
    "no array": (FLOATS, 7.0, r"shape \(\)"),
    "complex": (FLOATS, np.zeros(3, complex), "dtype complex128"),
    "words": (FLOATS, np.array(["1", "2", "3"]), "dtype <U1"),
    "bytes for flags": (spaces.MultiBinary(3), np.array([0, 2, 1], np.int8), "value 2"),
    "fractions for flags": (spaces.MultiBinary(3), np.array([0.0, 0.5, 1.0]), "dtype float64"),
    "beyond the choices": (spaces.Discrete(3, start=1), 4, r"Discrete\(3, start=1\) has bounds"),
    "beyond a box of integers": (spaces.Box(0, 9, (1,), np.int32), np.array([10], np.int32), "value 10.*bounds"),
}


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.parametrize("kind", ["single", "vector"])
def test_observations_that_are_not_of_their_space_are_refused(kind, case):
    space, observation, message = WRONG[case]
    with pytest.raises(InvalidValue, match=rf"^Told: step after 0 steps returned an observation of .*{message}"):
        stepped(kind, space=space, observation=observation)
    assert issubclass(InvalidValue, EnvironmentFailed) and issubclass(InvalidValue, ValueError)


@pytest.mark.parametrize("case", ["floats for bytes", "beyond a byte", "one number for three"])
@pytest.mark.parametrize("kind", ["single", "vector"])
def test_what_comes_later_is_not_cast_or_broadcast_either(kind, case):
    space, observation, message = WRONG[case]
    with pytest.raises(InvalidValue, match=rf"^Told: step after 3 steps .*{message}"):
        stepped(kind, space=space, observation=observation, late=3, steps=4)


@pytest.mark.parametrize("case", ["floats for bytes", "beyond a byte", "one number for three"])
def test_the_check_sees_what_single_environments_return(case):
    space, observation, message = WRONG[case]
    with pytest.raises(AssertionError, match=f"Told: .*{message}"):
        envs.check(envs.from_gymnasium(lambda: Told(space, observation)))


def test_workers_cast_what_they_return_and_tell_what_they_raise():
    """Gymnasium's workers write fractions into a shared memory of bytes without a word; a single one is asked first."""

    class Worker(Told):
        def step(self, action):
            if self.steps == 1:
                raise BrokenPipeError("gone")
            return super().step(action)

    make = lambda: Worker(BYTES, np.array([0.2, 0.5, 0.9]))
    workers = AsyncVectorEnv([make], autoreset_mode=AutoresetMode.SAME_STEP, context="spawn")
    try:
        with pytest.raises(InvalidValue, match=r"^Worker: step .*dtype float64"):
            envs.from_vector(workers)
        vector = AdaptedVectorEnv(workers, name="Worker")
        vector.reset(seed=0)
        assert vector.step(np.zeros(1, np.int32)).timestep.observation.tolist() == [[0, 0, 0]]
        with pytest.raises(EnvironmentFailed, match="^Worker raised BrokenPipeError in step after 1 step: gone$"):
            vector.step(np.zeros(1, np.int32))
    finally:
        workers.close()


@pytest.mark.parametrize("kind", ["single", "vector"])
@pytest.mark.parametrize(
    ("space", "observation", "expected"),
    [
        (FLOATS, np.array([0.1, 2, 3], np.float64), np.array([0.1, 2, 3], np.float32)),
        (FLOATS, [1, 2, 3], np.array([1, 2, 3], np.float32)),
        (FLOATS, np.array([True, False, True]), np.array([1, 0, 1], np.float32)),
        (BYTES, np.array([255, 0, 5]), np.array([255, 0, 5], np.uint8)),
        (BYTES, [1, 2, 3], np.array([1, 2, 3], np.uint8)),
        (spaces.Discrete(3, start=1), 3, np.array(3, np.int32)),
        (spaces.Discrete(3), np.array(2), np.array(2, np.int32)),
        (spaces.MultiBinary(3), np.array([True, False, True]), np.array([1, 0, 1], np.int8)),
        (spaces.Box(-20, 2**40, (1,), np.int64), np.array([-7]), np.array([-7], np.int32)),
    ],
)
def test_numbers_that_fit_are_cast(kind, space, observation, expected):
    seen = stepped(kind, space=space, observation=observation, steps=3).next_observation
    assert seen.dtype == expected.dtype
    np.testing.assert_array_equal(seen, np.stack([expected] * 2))


def test_an_integer_that_32_bits_do_not_hold_is_refused_whenever_it_comes():
    space = spaces.Box(-20, 2**40, (1,), np.int64)
    with pytest.raises(InvalidValue, match="after 5 steps .*value 4294967297.*from -2147483648"):
        stepped(space=space, observation=np.array([2**32 + 1]), late=5, steps=6)


def test_parts_of_observations_are_looked_at_by_name():
    space = spaces.Dict(a=FLOATS, b=spaces.Discrete(2))
    with pytest.raises(InvalidValue, match=r"an observation\['a'\] of shape \(1,\)"):
        stepped(space=space, observation={"a": np.array([7.0]), "b": 1})
    with pytest.raises(InvalidValue, match=r"without the entry 'b', a dictionary with 'a'"):
        stepped(space=space, observation={"a": np.zeros(3)})
    more = stepped(space=space, observation={"a": np.ones(3), "b": 1, "c": "more"}).observation
    assert (sorted(more), more["b"].tolist()) == (["a", "b"], [1, 1])


@pytest.mark.parametrize("kind", ["single", "vector"])
@pytest.mark.parametrize(
    "reward", [1, 1.0, True, np.float64(1), np.array(1.0), np.array([1.0]), np.array([[1]]), [1.0], jnp.float32(1)]
)
def test_a_reward_is_the_number_that_it_is(kind, reward):
    timestep = stepped(kind, reward=reward, steps=3)
    assert (timestep.reward.dtype, timestep.reward.tolist()) == (np.float32, [1, 1])
    assert timestep.info["episode_return"].tolist() == [3, 3]


@pytest.mark.parametrize("reward", [None, "1.0", np.ones(2), [], 1j])
def test_what_is_no_number_is_no_reward(reward):
    with pytest.raises(InvalidValue, match="^Told: step after 0 steps returned a reward of "):
        stepped(reward=reward)


@pytest.mark.parametrize("kind", ["single", "vector"])
@pytest.mark.parametrize("end", [True, 1, np.bool_(True), np.array([True]), np.array(1.0), np.array([1], np.uint8)])
def test_ends_are_any_numbers(kind, end):
    timestep = stepped(kind, count=3, terminated=end)
    assert (timestep.terminated.dtype, timestep.terminated.tolist()) == (bool, [True] * 3)
    timestep = stepped(kind, truncated=end)
    assert (timestep.truncated.dtype, timestep.truncated.tolist()) == (bool, [True] * 2)
    # An end that is both is a termination.
    assert stepped(kind, terminated=end, truncated=end).truncated.tolist() == [False] * 2


def test_an_end_that_is_no_number_is_refused():
    for end in (None, "False", np.zeros(2, bool)):
        with pytest.raises(InvalidValue, match="^Told: step after 0 steps returned terminated of "):
            stepped(terminated=end)


def test_the_old_interface_is_told_with_what_to_return():
    with pytest.raises(InvalidValue, match="^Told: step .*a tuple of 4 values: it must return observation, .*old Gym"):
        stepped(step=(np.zeros(3), 1.0, False, {}))
    with pytest.raises(InvalidValue, match="^Told: step .*None: it must return"):
        stepped(step=None)
    for first in (np.zeros(3, np.float32), (np.zeros(3), 0.0)):
        with pytest.raises(InvalidValue, match="^Told: reset after 0 steps .*it must return observation, info"):
            stepped(first=first)


@pytest.mark.parametrize("kind", ["single", "vector"])
def test_an_environment_that_raises_is_named_with_its_call_and_step(kind):
    class Late(Told):
        def step(self, action):
            if self.steps == 2:
                raise BrokenPipeError("the simulator has gone\nand more")
            return super().step(action)

    make = [Late] * 2
    env = envs.from_gymnasium(Late) if kind == "single" else envs.from_vector(lambda n: Vector(make[:n]), name="Late")
    vector = env.make_vector(2)
    vector.reset(seed=0)
    vector.step(np.zeros(2, np.int32))
    vector.step(np.zeros(2, np.int32))
    with pytest.raises(EnvironmentFailed) as caught:
        vector.step(np.zeros(2, np.int32))
    assert str(caught.value) == "Late raised BrokenPipeError in step after 2 steps: the simulator has gone"
    assert isinstance(caught.value.__cause__, BrokenPipeError)
    assert (caught.value.environment, caught.value.call, caught.value.steps) == ("Late", "step", 2)


def test_an_environment_that_raises_in_its_reset_or_when_it_is_made():
    class NoReset(Told):
        def reset(self, **options):
            raise RuntimeError("no screen")

    vector = envs.from_gymnasium(NoReset).make_vector(1)
    with pytest.raises(EnvironmentFailed, match="^NoReset raised RuntimeError in reset after 0 steps: no screen$"):
        vector.reset(seed=0)

    made = []

    def make():
        made.append(1)
        if len(made) > 1:
            raise OSError("no port is free")
        return Told()

    with pytest.raises(EnvironmentFailed, match="^Told raised OSError in construction: no port is free$"):
        envs.from_gymnasium(make).make_vector(1)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_who_stops_the_program_is_not_taken_for_the_environment(stop):
    with pytest.raises(stop):
        stepped(raises=stop())


# Compiled environments.


def traced(env):
    """The shapes of a first observation and of a step of an environment that has passed the gate."""
    env = checked(env)

    def both(key):
        state, first = env.reset(key)
        return first, env.step(state, jnp.int32(0), key)[1]

    return jax.eval_shape(both, jax.random.key(0))


def compiled(counting, **changes):
    """An environment whose steps differ in some parts."""
    env = counting()

    def step(state, action, key):
        state, timestep = env.step(state, action, key)
        if "observation" in changes:
            changes["next_observation"] = changes["observation"]
        return state, timestep._replace(**changes)

    return dataclasses.replace(env, step=step)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"observation": jnp.zeros((2,))}, r"an observation of shape \(2,\): its space .* needs \(1,\)"),
        ({"observation": jnp.zeros(())}, r"an observation of shape \(\)"),
        ({"observation": {"a": jnp.zeros(1)}}, "an observation that is a dictionary with 'a'"),
        ({"reward": jnp.ones(2)}, r"a reward of shape \(2,\)"),
        ({"terminated": jnp.zeros(2, bool)}, r"terminated of shape \(2,\)"),
    ],
)
def test_compiled_environments_are_refused_before_anything_runs(counting, changes, message):
    with pytest.raises(InvalidValue, match=f"^counting: step returned {message}"):
        traced(compiled(counting, **changes))


def test_a_compiled_observation_of_floats_is_no_byte(counting):
    space = spaces.Box(0, 255, (1,), np.uint8)
    with pytest.raises(InvalidValue, match="^counting: reset returned an observation of dtype float32: .* needs uint8"):
        traced(dataclasses.replace(counting(), observation_space=space))
    wide = dataclasses.replace(counting(), observation_space=space)
    wide = dataclasses.replace(wide, reset=lambda key: (jnp.zeros(()), jnp.zeros(1, jnp.int32)))
    with pytest.raises(InvalidValue, match="dtype int32"):
        traced(wide)


def test_compiled_numbers_that_fit_are_cast(counting):
    first, step = traced(
        compiled(counting, observation=jnp.ones(1, jnp.int32), reward=jnp.ones(1, jnp.int32), terminated=0)
    )
    assert [x.dtype for x in (first, step.next_observation, step.reward, step.terminated)] == [
        np.float32, np.float32, np.float32, bool,
    ]  # fmt: skip
    assert step.reward.shape == step.terminated.shape == ()


def test_a_compiled_environment_that_raises_is_named(counting):
    def step(state, action, key):
        raise KeyError("torque")

    with pytest.raises(EnvironmentFailed, match="^counting raised KeyError in step: 'torque'"):
        traced(dataclasses.replace(counting(), step=step))
    with pytest.raises(InvalidValue, match=r"^counting: step returned a tuple of 5 values: it must return state"):
        traced(dataclasses.replace(counting(), step=lambda *_: (1, 2, 3, 4, 5)))


def test_sync_vector_environments_are_taken_as_before():
    env = envs.from_vector(lambda n: SyncVectorEnv([Told] * n, autoreset_mode=AutoresetMode.SAME_STEP), name="Told")
    assert env.make_vector(2).reset(seed=0).tolist() == [[0, 0, 0]] * 2
