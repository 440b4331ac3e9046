"""Actions that reach environments: always of the space that they declare, judged by its own ``contains``."""

import dataclasses
import functools

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

from jaxrl import envs
from jaxrl import spaces as jax_spaces
from jaxrl.algorithms import ppo, sac
from jaxrl.envs.actions import list_of_actions, unit_actions
from jaxrl.envs.environment import transition_step
from jaxrl.training import make_runner

SPACES = {
    "from 0": spaces.Box(0, np.inf, (2,), np.float32),
    "from 5": spaces.Box(5, np.inf, (2,), np.float32),
    "up to -0.1": spaces.Box(-np.inf, -0.1, (2,), np.float64),
    "of each kind": spaces.Box(
        np.array([-np.inf, 0.1, -np.inf, -1]), np.array([np.inf, np.inf, 0.7, 3]), (4,), np.float64
    ),
    "everywhere": spaces.Box(-np.inf, np.inf, (2,), np.float32),
    # Of these, float32 has no 0.7 and -0.1 that are not below, and no 1.1 and 0.1 that are not above.
    "float64": spaces.Box(np.array([0.7, -0.1, -1e300]), np.array([1.1, 0.1, 1e300]), (3,), np.float64),
    "float32": spaces.Box(np.float32(0.1), np.float32(0.7), (2,), np.float32),
    "float16": spaces.Box(np.float16(0.1), np.float16(0.7), (2,), np.float16),
    "one point": spaces.Box(0.5, 0.5, (1,), np.float32),
    "int64": spaces.Box(0, 3, (1,), np.int64),
    "int32": spaces.Box(-2, 2, (1,), np.int32),
    "uint8": spaces.Box(0, 255, (2,), np.uint8),
    "flags": spaces.Box(0, 1, (3,), bool),
    "discrete": spaces.Discrete(3, start=-1),
    "multi-discrete": spaces.MultiDiscrete([2, 3], start=[1, -1]),
    "multi-binary": spaces.MultiBinary(3),
    "dict": spaces.Dict(a=spaces.Box(0, 3, (1,), np.int64), b=spaces.Discrete(2), c=spaces.Box(0, np.inf, (1,))),
    "tuple": spaces.Tuple([spaces.MultiBinary(2), spaces.Box(-2, 2, (1,), np.int32)]),
}  # fmt: skip
EXTREMES = (-9.0, -1.0, -0.999, -0.1, 0.0, 0.3, 1.0, 9.0)


def canonical_actions(space):
    """A batch of canonical actions: random ones, and for a ``Box`` those that a policy without bounds may draw."""
    unit = jax_spaces.canonical(space)
    drawn = jax.device_get(jax_spaces.sample(unit, jax.random.key(0), (64,)))
    if isinstance(space, spaces.Box):
        extreme = np.array(EXTREMES, np.float32).reshape(-1, *[1] * len(space.shape)) * np.ones(space.shape, np.float32)
        drawn = np.concatenate([drawn, extreme])
    return drawn


@pytest.mark.parametrize("name", SPACES)
def test_the_host_gets_elements_of_its_space(name):
    space = SPACES[name]
    actions = list_of_actions(space)(canonical_actions(space))
    for action in actions:
        assert space.contains(action), action
        if isinstance(space, spaces.Box):
            assert action.dtype == space.dtype


@pytest.mark.parametrize("name", SPACES)
def test_a_device_gets_elements_of_its_space(name):
    """In the space's dtype, of which JAX keeps 32 bits."""
    space = SPACES[name]
    batch = jax.device_get(jax.jit(unit_actions(space)[1])(canonical_actions(space)))
    assert jax.tree.map(lambda x: x.dtype, batch) == jax.tree.map(lambda x: x.dtype, jax_spaces.shapes(space))
    wide = jax.tree.map(lambda x: x.astype(np.int64) if x.dtype == np.int32 else x, batch)
    wide = wide if not isinstance(space, spaces.Box) else batch
    for i in range(len(jax.tree.leaves(batch)[0])):
        element = jax.tree.map(lambda x, i=i: x[i], wide)
        if name == "tuple":
            element = (element[0], element[1].astype(np.int32))
        assert space.contains(element), element


@pytest.mark.parametrize("name", ["int64", "int32", "uint8", "flags"])
def test_each_integer_is_as_likely_as_another(name):
    space = SPACES[name]
    low, count = int(space.low.flat[0]), int(space.high.flat[0]) - int(space.low.flat[0]) + 1
    to_own = unit_actions(space)[1]
    # One canonical action in the middle of each of `count` equal parts of [-1, 1]: each integer once, in order.
    middles = ((np.arange(count) + 0.5) / count * 2 - 1).astype(np.float32)
    batch = np.repeat(middles[:, None], space.shape[0], axis=1)
    for own in (to_own(batch), np.asarray(to_own(jnp.asarray(batch)))):
        np.testing.assert_array_equal(own[:, 0].astype(int), low + np.arange(count))
    uniform = np.random.default_rng(0).uniform(-1, 1, (20_000, *space.shape)).astype(np.float32)
    drawn = np.bincount(to_own(uniform)[:, 0].astype(int) - low, minlength=count) / 20_000
    np.testing.assert_allclose(drawn, 1 / count, atol=0.015)


def test_more_integers_than_an_action_can_tell_apart_are_refused():
    for space in (spaces.Box(0, 2**16, (1,), np.int32), spaces.Box(-np.inf, np.inf, (1,), np.int64)):
        with pytest.raises(ValueError, match="action_space=Box.*65,536 integers.*Discrete or MultiDiscrete"):
            jax_spaces.canonical(space)
    assert unit_actions(spaces.Box(0, 2**16 - 1, (1,), np.int32))[1](np.ones(1, np.float32)) == 2**16 - 1
    narrow = spaces.Box(1 + 1e-9, 1 + 2e-9, (1,), np.float64)
    with pytest.raises(ValueError, match="no float32 between its bounds"):
        unit_actions(narrow)


def test_one_sided_samples_lie_beyond_their_bound(key):
    """At a distance of 1 in the mean, as Gymnasium draws them; not all on the bound."""
    space = SPACES["of each kind"]
    drawn = np.asarray(jax_spaces.sample(space, key, (4000,)))
    np.testing.assert_allclose(drawn.mean(axis=0), [0, 1.1, -0.3, 1], atol=0.1)
    assert ((drawn[:, 1] >= 0.1) & (drawn[:, 2] <= np.float32(0.7))).all()
    assert len(np.unique(drawn[:, 1])) > 3900


class Judge(gymnasium.Env):
    """Ends after five steps; every action must be of its space."""

    observation_space = spaces.Box(-1, 1, (1,), np.float32)

    def __init__(self, space):
        self.action_space, self.taken = space, []

    def reset(self, *, seed=None, options=None):
        self.t = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        assert self.action_space.contains(action), action
        self.taken.append(action)
        self.t += 1
        return np.zeros(1, np.float32), 1.0, False, self.t >= 5, {}


def judged(space):
    """A host environment, and the single environments that are made of it."""
    made = []

    def make():
        made.append(Judge(space))
        return made[-1]

    return envs.from_gymnasium(make, name="judge"), made


def test_ppo_never_leaves_a_space_with_one_bound():
    env, made = judged(SPACES["from 0"])
    agent = ppo.make(env.spec, ppo.Config(num_envs=2, rollout_length=16, num_minibatches=1, hidden_sizes=(4,)))
    runner = make_runner(agent, env, total_steps=64, seeds=[0])
    runner.advance(runner.init(), 2)
    taken = np.concatenate([e.taken for e in made if e.taken])
    assert len(taken) == 64 and (taken >= 0).all() and (taken > 0).any()


def test_sac_draws_and_stores_integers_as_they_are():
    """The replay holds canonical actions: as integers of the space all would be 0."""
    env, made = judged(SPACES["int64"])
    agent = sac.make(env.spec, sac.Config(num_envs=2, prefill=64, buffer_size=128, batch_size=4, hidden_sizes=(4,)))
    runner = make_runner(agent, env, total_steps=70, seeds=[0])
    state = runner.init()
    taken = np.concatenate([e.taken for e in made if e.taken]).ravel()
    assert sorted(set(taken.tolist())) == [0, 1, 2, 3]
    assert (np.bincount(taken, minlength=4) >= 5).all()
    replay = jax.tree.map(lambda x: x[0], state.buffer.buffer)
    stored = agent.feed.buffer.sample(replay, jax.random.key(0), 32, None).transitions.action
    assert stored.dtype == np.float32 and len(np.unique(stored)) > 10
    half = spaces.Box(0, np.inf, (1,), np.float32)
    with pytest.raises(ValueError, match="sac needs bounded actions, got .*ppo takes unbounded ones"):
        sac.make(dataclasses.replace(env.spec, action_space=half))


def test_compiled_and_tensor_environments_get_integers(counting, key):
    seen = dataclasses.replace(
        counting(), action_space=SPACES["int64"],
        step=lambda state, action, key: (state, transition_step(jnp.zeros(1), action[0] * 10, False)),
    )  # fmt: skip
    step = envs.rescale_action(seen).step
    rewards = [step(seen.reset(key)[0], jnp.array([a]), key)[1].reward for a in (-1.0, -0.4, 0.3, 0.9)]
    assert rewards == [0, 10, 20, 30]


class Tensors:
    """Keeps the actions that it gets."""

    def __init__(self, num_envs, kept):
        self.num_envs, self.kept = num_envs, kept

    def reset(self):
        return np.zeros((self.num_envs, 1), np.float32)

    def step(self, action):
        self.kept.append(action)
        ends = np.zeros(self.num_envs, bool)
        return np.zeros((self.num_envs, 1), np.float32), np.ones(self.num_envs, np.float32), ends, ends, {}


def test_tensors_get_integers_too():
    kept = []
    env = envs.from_tensors(
        functools.partial(Tensors, kept=kept), Judge.observation_space, SPACES["int64"], name="tensors",
        to_tensor=np.from_dlpack,
    )  # fmt: skip
    vector = env.make_vector(4)
    vector.reset(seed=0)
    vector.step(jnp.array([[-1.0], [-0.4], [0.3], [0.9]]))
    assert (kept[0].dtype, kept[0].ravel().tolist()) == (np.int32, [0, 1, 2, 3])
