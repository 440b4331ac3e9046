"""Simulators that speak tensors: the same learning as through NumPy, without a copy on the host."""

import dataclasses
import functools
import gc
import subprocess
import sys
import weakref

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

from jaxrl import envs
from jaxrl.algorithms import dqn, ppo, sac
from jaxrl.envs.errors import EnvironmentFailed
from jaxrl.envs.host import HostEnvironment, HostStep, RunningEpisodes, VectorEnv
from jaxrl.training.host_train import HostRunner
from jaxrl.types import TimeStep

SLOW = [pytest.mark.slow]
LIMIT = 5
OBSERVATIONS = spaces.Box(-np.inf, np.inf, (2,), np.float32)
CONTINUOUS = spaces.Box(-0.5, 1.0, (1,), np.float32)
DISCRETE = spaces.Discrete(2)


def aligned(shape, dtype):
    """Zeros at an address that JAX takes as it is; it copies from others."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.zeros(size + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size].view(dtype).reshape(shape)


class Tensor:
    """What another framework's tensor offers, and nothing that would bring it to the host."""

    def __init__(self, array):
        self._array = array

    def __dlpack__(self, **options):
        return self._array.__dlpack__()

    def __dlpack_device__(self):
        return self._array.__dlpack_device__()

    def __array__(self, *_, **__):
        raise AssertionError("the tensor was copied to the host")


class Walks:
    """Points that walk along a line, away from 0 at the cost of their distance; they observe place and time.

    An episode terminates beyond 1 and is truncated after ``LIMIT`` steps. Every array is written to again.
    """

    def __init__(self, num_envs):
        self.num_envs, self.closed = num_envs, False
        self.observation, self.final = (aligned((num_envs, 2), np.float32) for _ in range(2))
        self.reward = aligned((num_envs,), np.float32)
        self.terminated, self.truncated = (aligned((num_envs,), bool) for _ in range(2))

    def reset(self, seed):
        self._random = np.random.default_rng(seed)
        self._begin(np.ones(self.num_envs, bool))
        return self.observation

    def step(self, action):
        moved = action[:, 0] if action.ndim == 2 else np.float32(0.75) * action - np.float32(0.25)
        self.observation += np.stack([moved, np.ones(self.num_envs)], axis=1).astype(np.float32)
        self.reward[:] = -np.abs(self.observation[:, 0])
        self.terminated[:] = np.abs(self.observation[:, 0]) > 1
        self.truncated[:] = (self.observation[:, 1] >= LIMIT) & ~self.terminated
        self.final[:] = self.observation
        self._begin(self.terminated | self.truncated)

    def close(self):
        self.closed = True

    def _begin(self, rows):
        self.observation[rows, 0] = self._random.uniform(-0.5, 0.5, rows.sum())
        self.observation[rows, 1] = 0


class Gymnasium(Walks):
    """Tensors by the conventions of Gymnasium's vector environments."""

    def reset(self, *, seed):
        return Tensor(super().reset(seed)), {}

    def step(self, action):
        super().step(action)
        ends = Tensor(self.terminated), Tensor(self.truncated)
        return Tensor(self.observation), Tensor(self.reward), *ends, {"final_observation": Tensor(self.final)}


class IsaacGym(Walks):
    """Tensors by the conventions of Isaac Gym: no final observation, and ends that are integers."""

    def reset(self):
        return Tensor(super().reset(0))

    def step(self, action):
        super().step(action)
        done = aligned((self.num_envs,), np.int64)
        done[:] = self.terminated | self.truncated
        info = {"time_outs": Tensor(self.truncated)}
        return Tensor(self.observation), Tensor(self.reward), Tensor(done), info


class Arrays(Walks):
    """New JAX arrays with each step."""

    def __init__(self, num_envs):
        super().__init__(num_envs)
        self.given = []

    def reset(self, seed):
        return self._new(super().reset(seed))

    def step(self, action):
        super().step(np.asarray(action))
        ends = self._new(self.terminated), self._new(self.truncated)
        return self._new(self.observation), self._new(self.reward), *ends, {"final_obs": self._new(self.final)}

    def _new(self, array):
        self.given.append(jnp.array(array))
        return self.given[-1]


class Plain(VectorEnv):
    """The same walks by the ordinary protocol, in NumPy."""

    def __init__(self, num_envs, action_space):
        self.num_envs, self._walks = num_envs, Walks(num_envs)
        self._to_bounds = envs.unit_actions(action_space)[1]

    def reset(self, seed):
        self._episodes = RunningEpisodes(self.num_envs)
        return self._walks.reset(seed).copy()

    def send(self, action):
        self._walks.step(self._to_bounds(action))

    def receive(self):
        w = self._walks
        terminated, truncated = w.terminated.copy(), w.truncated.copy()
        info = self._episodes.add(w.reward, terminated | truncated)
        observation, final = w.observation.copy(), w.final.copy()
        return HostStep(TimeStep(observation, final, w.reward.copy(), terminated, truncated, info), None)

    def close(self):
        pass


def tensors(make=Gymnasium, action_space=CONTINUOUS, observation_space=OBSERVATIONS, **options):
    options = {"to_tensor": np.from_dlpack, "name": "walks", "max_episode_steps": LIMIT, **options}
    return envs.from_tensors(make, observation_space, action_space, **options)


def plain(action_space=CONTINUOUS):
    make = lambda num_envs: Plain(num_envs, action_space)
    return HostEnvironment("walks", OBSERVATIONS, action_space, LIMIT, make)


def vector_of(make=Gymnasium, num_envs=3, **options):
    """A vector environment, and the simulator in it."""
    made = []
    env = tensors(lambda n: made.append(make(n)) or made[-1], **options)
    return env.make_vector(num_envs), made[0]


# Training.


def small(name, spec):
    replay = {"hidden_sizes": (8,), "batch_size": 8, "buffer_size": 64, "prefill": 16, "num_envs": 4}
    rollout = {"num_envs": 4, "rollout_length": 8, "num_minibatches": 2, "hidden_sizes": (8,)}
    match name:
        case "ppo":
            return ppo.make(spec, ppo.Config(**rollout, normalize_observation=True))
        case "ppo-recurrent":
            recurrent = {"actor_rnn": "gru", "critic_rnn": "gru", "rnn_size": 4, "sequence_length": 4}
            return ppo.make(spec, ppo.Config(**rollout, **recurrent))
        case "dqn":
            return dqn.make(spec, dqn.Config(**replay, steps_per_update=2, prioritized=True))
        case "sac":
            return sac.make(spec, sac.Config(**replay, normalize_observation=True))


QUICK = [("ppo", [3]), ("dqn", [3, 4])]
TRAINED = [(name, seeds) for name in ("ppo", "ppo-recurrent", "dqn", "sac") for seeds in ([3], [3, 4])]


@pytest.mark.parametrize(
    ("name", "seeds"),
    [
        pytest.param(*each, id=f"{each[0]}-{len(each[1])}", marks=[] if each in QUICK else SLOW)
        for each in TRAINED
    ],
)
def test_training_is_that_on_numpy_arrays(name, seeds):
    space = DISCRETE if name == "dqn" else CONTINUOUS
    transform = (lambda reward: 0.5 * reward) if name == "ppo" else None
    results = []
    for env in (plain(space), tensors(action_space=space)):
        run = HostRunner(small(name, env.spec), env, 640, seeds, reward_transform=transform)
        state, report = run.advance(run.init(), 4)
        state, second = run.advance(state, 2)
        evaluations = run.evaluate(state, 6), run.evaluate(state, 6, deterministic=False)
        state, third = run.advance(run.restored(state), 1)
        results.append((state, report, second, third, evaluations))
        assert run.iterations_done(state) == 7
        run.close()
    assert (results[0][1].episodes > 0).all()
    close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)
    as_data = lambda x: jax.random.key_data(x) if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key) else x
    jax.tree.map(lambda x, y: close(as_data(x), as_data(y)), *results)


@pytest.mark.parametrize("name", [pytest.param("ppo-recurrent", marks=SLOW), "dqn"])
def test_nothing_is_fetched_and_nothing_compiled_twice(monkeypatch, name):
    """Programs get JAX arrays, but for scalars; an interval is reported with one transfer."""
    space = DISCRETE if name == "dqn" else CONTINUOUS
    env = tensors(action_space=space)
    run = HostRunner(small(name, env.spec), env, 640, [3, 4])
    state, fetched, call, fetch = run.init(), [], run._run, jax.device_get

    def checked(name, *args):
        for leaf in jax.tree.leaves(args):
            assert isinstance(leaf, jax.Array) or np.ndim(leaf) == 0, (name, type(leaf))
        return call(name, *args)

    monkeypatch.setattr(run, "_run", checked)
    monkeypatch.setattr(run._arrays, "_run", checked)
    monkeypatch.setattr(jax, "device_get", lambda tree: fetched.append(tree) or fetch(tree))
    state, _ = run.advance(state, 2)
    assert len(fetched) == 1
    run.evaluate(state, 2)
    run.advance(run.restored(state), 2)
    # These are of observations and of time steps, of training and of evaluation.
    several = {"stack", "lanes", "over_time"}
    assert {key: f._cache_size() for key, f in run._compiled.items() if key not in several} == {
        key: 1 for key in run._compiled if key not in several
    }


# The vector environment.


def test_what_was_returned_is_never_written_to_again():
    vector, _ = vector_of()
    action = jnp.full((3, 1), 0.2)
    returned = [vector.reset(seed=1)]
    copies = [np.array(returned[0])]
    for _ in range(2 * LIMIT):
        step = vector.step(action)
        returned.append(step)
        copies.append(jax.tree.map(np.array, step))
    jax.tree.map(np.testing.assert_array_equal, returned, copies)


def test_a_simulator_may_write_to_its_actions():
    class Writes(Gymnasium):
        def step(self, action):
            jax.dlpack.from_dlpack(action)  # it is a tensor of the very memory
            self.pointer = action.unsafe_buffer_pointer()
            return super().step(np.asarray(action))

    vector, simulator = vector_of(Writes, action_space=DISCRETE, to_tensor=None)
    vector.reset(seed=1)
    action = jnp.ones(3, jnp.int32)
    vector.step(action)
    assert simulator.pointer != action.unsafe_buffer_pointer()


@pytest.mark.parametrize("copies", [True, False])
def test_actions_live_as_long_as_a_simulator_may_read_them(copies):
    """On a device it reads them after its step has returned, whether it has kept their tensor or not."""
    given = []

    def to_tensor(action):
        given.append(weakref.ref(action))
        return action

    vector, _ = vector_of(Arrays, to_tensor=to_tensor, copies=copies)
    vector.reset(seed=1)
    gc.freeze()  # what there is already need not be searched
    for t in range(4):
        vector.step(jnp.full((3, 1), 0.1 * t))
        gc.collect()
        assert [ref() is not None for ref in given] == [False] * (t - 1) + [True] * min(t + 1, 2)


def test_simulators_that_reset_in_a_step_of_their_own_are_refused():
    make = lambda num_envs: gymnasium.make_vec("CartPole-v1", num_envs, vectorization_mode="sync")
    space = make(1).single_observation_space, make(1).single_action_space
    env = envs.from_tensors(make, *space, name="cart")
    with pytest.raises(ValueError, match="autoreset_mode=.*from_vector adapts"):
        env.make_vector(2)


def test_an_info_that_is_none():
    class Silent(Arrays):
        def step(self, action):
            return (*super().step(action)[:4], None)

    vector, _ = vector_of(Silent, to_tensor=None)
    vector.reset(seed=1)
    with pytest.raises(EnvironmentFailed, match="step .*returned info of type NoneType: it must be a dictionary"):
        vector.step(jnp.zeros((3, 1)))


@pytest.mark.parametrize("copies", [True, False])
def test_without_copies_the_memory_is_the_simulators(copies):
    vector, simulator = vector_of(copies=copies)
    pointer = simulator.observation.ctypes.data
    assert (vector.reset(seed=1).unsafe_buffer_pointer() == pointer) is not copies
    step = vector.step(jnp.zeros((3, 1)))
    assert (step.timestep.observation.unsafe_buffer_pointer() == pointer) is not copies
    assert step.timestep.reward.unsafe_buffer_pointer() != simulator.reward.ctypes.data


@pytest.mark.parametrize("copies", [True, False])
def test_jax_arrays_need_no_tensors(copies):
    vector, simulator = vector_of(Arrays, to_tensor=None, copies=copies)
    expected = Plain(3, CONTINUOUS)
    np.testing.assert_array_equal(vector.reset(seed=1), expected.reset(seed=1))
    for t in range(2 * LIMIT):
        action = np.float32([[-1], [0], [1]]) * (t % 3)
        step, plain_step = vector.step(jnp.asarray(action)), expected.step(action)
        jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-6), step, plain_step)
        shared = step.timestep.observation.unsafe_buffer_pointer() in {
            x.unsafe_buffer_pointer() for x in simulator.given
        }
        assert shared is not copies


def test_a_step_may_have_one_kind_of_end_and_time_outs():
    """The observation that was acted on stands for the final one, which such a simulator does not tell."""
    vector, simulator = vector_of(IsaacGym)
    before, ends = vector.reset(seed=1), []
    for _ in range(LIMIT):
        # The first walks off, the others stay; -1/3 is 0 in the simulator's bounds.
        t = vector.step(jnp.array([[1.0], [-1 / 3], [-1 / 3]])).timestep
        np.testing.assert_array_equal(t.terminated, simulator.terminated)
        np.testing.assert_array_equal(t.truncated, simulator.truncated)
        ended = np.array(t.terminated | t.truncated)[:, None]
        np.testing.assert_array_equal(t.next_observation, np.where(ended, before, t.observation))
        np.testing.assert_array_equal(
            t.info["episode_length"], np.where(ended[:, 0], before[:, 1] + 1, t.observation[:, 1])
        )
        before = t.observation
        ends.append((t.terminated[0], t.truncated[1]))
    assert np.any(ends, axis=0).all()


def test_without_time_outs_every_end_is_a_termination():
    class Forgets(IsaacGym):
        def step(self, action):
            *parts, _ = super().step(action)
            return *parts, {}

    vector, _ = vector_of(Forgets)
    vector.reset(seed=1)
    steps = [vector.step(jnp.full((3, 1), -1 / 3)).timestep for _ in range(LIMIT)]
    assert steps[-1].terminated.all() and not any(t.truncated.any() for t in steps)


def test_a_final_observation_is_that_of_rows_that_ended():
    vector, simulator = vector_of()
    vector.reset(seed=1)
    for _ in range(LIMIT):
        t = vector.step(jnp.array([[1.0], [-1 / 3], [-1 / 3]])).timestep
        np.testing.assert_array_equal(t.next_observation, simulator.final)
    assert t.truncated[1] and not np.array_equal(t.next_observation, t.observation)


def test_entries_and_dtypes_of_a_space():
    class Entries(Gymnasium):
        def reset(self, *, seed):
            return self._entries(super().reset(seed=seed)[0]), {}

        def step(self, action):
            self.action = action
            observation, *rest, _ = super().step(action["move"])
            return self._entries(observation), *rest, {}

        def _entries(self, observation):
            number = aligned((self.num_envs,), np.int64)
            number[:] = 2
            return {"place": observation, "pair": (Tensor(number), Tensor(self.truncated)), "more": None}

    space = spaces.Dict(
        {
            "place": spaces.Box(-np.inf, np.inf, (2,), np.float64),
            "pair": spaces.Tuple((spaces.Discrete(3), spaces.MultiBinary(()))),
        }
    )
    vector, simulator = vector_of(
        Entries,
        action_space=spaces.Dict({"move": CONTINUOUS, "kind": spaces.Discrete(2, start=5)}),
        observation_space=space,
    )
    vector.reset(seed=1)
    t = vector.step({"move": jnp.full((3, 1), 2.0), "kind": jnp.ones(3, jnp.int32)}).timestep
    assert sorted(t.observation) == ["pair", "place"]
    assert [x.dtype for x in jax.tree.leaves(t.observation)] == [np.int32, np.int8, np.float32]
    assert t.observation["pair"][0].tolist() == [2, 2, 2]
    np.testing.assert_array_equal(simulator.action["move"], np.ones((3, 1)))
    assert simulator.action["kind"].tolist() == [6, 6, 6]


def test_actions_are_left_alone_if_asked_for():
    vector, _ = vector_of(Arrays, to_tensor=None, clip_actions=False)
    start = vector.reset(seed=1)
    t = vector.step(jnp.full((3, 1), 7.0)).timestep
    np.testing.assert_allclose(t.next_observation[:, 0], start[:, 0] + 7, rtol=1e-6)


def test_vectors_of_rewards():
    class Two(Gymnasium):
        def step(self, action):
            observation, _, *rest = super().step(action)
            reward = aligned((self.num_envs, 2), np.float32)
            reward[:] = [1, 2]
            return observation, Tensor(reward), *rest

    vector, _ = vector_of(Two, reward_shape=(2,))
    vector.reset(seed=1)
    t = vector.step(jnp.full((3, 1), -1 / 3)).timestep
    assert t.reward.shape == (3, 2)
    assert t.info["episode_return"].tolist() == [3, 3, 3]


def test_a_simulator_may_be_on_another_device():
    """JAX computes on its default device; actions go back to where the observations come from."""
    program = """
import jax, jax.numpy as jnp, numpy as np
from gymnasium import spaces
from jaxrl import envs

jax.config.update("jax_num_cpu_devices", 2)
here, there = jax.devices()
jax.config.update("jax_default_device", here)

class Simulator:
    def __init__(self, num_envs):
        self.observation = jax.device_put(jnp.zeros((num_envs, 1)), there)

    def reset(self):
        return self.observation

    def step(self, action):
        assert action.device == there
        reward = self.observation[:, 0]
        return self.observation + action, reward, reward > 1, {}

box = spaces.Box(-1, 1, (1,))
vector = envs.from_tensors(Simulator, box, box, name="elsewhere").make_vector(3)
vector.reset(seed=0)
step = vector.step(jnp.ones((3, 1)))
assert {x.device for x in jax.tree.leaves(step)} == {here}
assert step.timestep.observation.tolist() == [[1], [1], [1]]
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_simulator_is_closed():
    vector, simulator = vector_of()
    vector.close()
    assert simulator.closed


def test_the_check_accepts_them():
    assert "passed" in str(envs.check(tensors()))
    assert not envs.check(tensors()).warnings
    assert envs.check(tensors(Arrays, to_tensor=None, copies=False)).episodes > 0


def test_the_check_finds_memory_that_is_written_to_again():
    with pytest.raises(AssertionError, match="return copies"):
        envs.check(tensors(copies=False))


def test_the_check_finds_arrays_that_are_not_on_the_device():
    env = dataclasses.replace(plain(), device_arrays=True)
    with pytest.raises(AssertionError, match="device_arrays=True, but step returned .* as a ndarray"):
        envs.check(env)


def wrong(**changes):
    """A simulator whose step returns something else in some places."""

    class Wrong(Gymnasium):
        def step(self, action):
            names = ("observation", "reward", "terminated", "truncated", "info")
            return tuple((dict(zip(names, super().step(action), strict=True)) | changes).values())

    return Wrong


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (wrong(observation=[[0.0, 0.0]] * 3), "observation: the simulator returned a list; .* __dlpack__"),
        (wrong(observation=Tensor(aligned((2, 2), np.float32))), r"observation of shape \(2, 2\): .* \(3, 2\)"),
        (wrong(observation=Tensor(aligned((3, 2), np.int32))), "observation of dtype int32: .* float32"),
        (wrong(observation=Tensor(aligned((3, 4), np.float32)[:, ::2])), "observation: .* over DLPack .* contiguous"),
        (wrong(reward=Tensor(aligned((3, 1), np.float32))), r"reward of shape \(3, 1\): it must be \(3,\)"),
        (wrong(truncated=False), "truncated: the simulator returned a bool"),
        (wrong(info={"final_obs": Tensor(aligned((1, 2), np.float32))}), r"final observation of shape \(1, 2\)"),
        (wrong(more={}), "6 values: it must return observation, reward"),
    ],
)
def test_what_a_step_may_not_return(make, message):
    vector, _ = vector_of(make)
    vector.reset(seed=1)
    with pytest.raises(ValueError, match=message):
        vector.step(jnp.zeros((3, 1)))


def test_what_cannot_be_adapted():
    with pytest.raises(ValueError, match=r"make\(3\) made a simulator of 7 environments"):
        vector_of(lambda n: Gymnasium(7))
    with pytest.raises(TypeError, match="make=.*must be a function"):
        tensors(Gymnasium(3))
    with pytest.raises(ValueError, match="no entry 'place'"):
        vector_of(observation_space=spaces.Dict({"place": OBSERVATIONS}))[0].reset(seed=1)
