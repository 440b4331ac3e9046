"""The fields of a configuration that its torso is made of, in every family that has them."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

from jaxrl.algorithms import dqn, iqn, ppo, pqn
from jaxrl.types import Rollout, Sample, Spec, Transition


@pytest.mark.parametrize(
    ("torso", "convolutions", "words"),
    [
        ("conv", (), "torso='conv': needs convolutions"),
        ("auto", ((8, 3, 1),), "convolutions=.*needs torso='conv'"),
        ("conv", ((8, 3),), "convolutions=.*three positive integers"),
        ("conv", ((8, 0, 1),), r"convolutions=.*got \(8, 0, 1\)"),
        ("conv", ((8, 3, 1, -1),), r"convolutions=.*padding.*got \(8, 3, 1, -1\)"),
        ("conv", ((8, 3, 1, 1, 1),), "convolutions=.*three positive integers"),
        ("conv1d", (), "torso='conv1d': needs convolutions"),
        ("cnn", (), "torso='cnn': must be one of"),
    ],
)
def test_lists_of_convolutions_that_cannot_be(torso, convolutions, words):
    for module in (ppo, dqn):
        with pytest.raises(ValueError, match=words):
            module.Config(torso=torso, convolutions=convolutions)


@pytest.mark.parametrize("module", [ppo, pqn, dqn], ids=lambda m: m.__name__.rpartition(".")[2])
def test_what_only_convolutions_of_one_s_own_have(module):
    with pytest.raises(ValueError, match="coordinates=True: needs torso='conv' or torso='conv1d'"):
        module.Config(torso="nature_cnn", coordinates=True)
    with pytest.raises(ValueError, match="pooling='spatial_softargmax': needs torso='conv'"):
        module.Config(pooling="spatial_softargmax")
    with pytest.raises(ValueError, match="pooling='softargmax'.*did you mean 'spatial_softargmax'"):
        module.Config(torso="conv", convolutions=((8, 3, 1),), pooling="softargmax")


IMAGE, SIGNAL = spaces.Box(0, 255, (10, 10, 4), np.uint8), spaces.Box(-1, 1, (9, 2))
TOLD = {"coordinates": True, "pooling": "spatial_softargmax"}


@pytest.mark.parametrize("module", [ppo, pqn, dqn, iqn], ids=lambda m: m.__name__.rpartition(".")[2])
@pytest.mark.parametrize(
    ("space", "switches", "shapes"),
    [
        # 10 -> 4 -> 3 pixels a side.
        (IMAGE, {"convolutions": ((7, 3, 2), (5, 2, 1))}, {(3, 3, 4, 7), (2, 2, 7, 5), (3 * 3 * 5, 6)}),
        # 10 + 2 -> 5 pixels a side.
        (IMAGE, {"convolutions": ((7, 3, 2, 1),)}, {(3, 3, 4, 7), (5 * 5 * 7, 6)}),
        # Two coordinates more, and two of each channel.
        (IMAGE, {"convolutions": ((7, 3, 2), (5, 2, 1)), **TOLD}, {(3, 3, 6, 7), (2, 2, 7, 5), (2 * 5, 6)}),
        # 9 -> 4 numbers; one coordinate more, and one of each channel.
        (SIGNAL, {"torso": "conv1d", "convolutions": ((7, 3, 2),)}, {(3, 2, 7), (4 * 7, 6)}),
        (SIGNAL, {"torso": "conv1d", "convolutions": ((7, 3, 2),), **TOLD}, {(3, 3, 7), (7, 6)}),
    ],
    ids=["valid", "padded", "coordinates", "one axis", "coordinates of one axis"],
)
def test_families_that_take_a_list_of_convolutions(module, space, switches, shapes, key):
    config = module.Config(**{"torso": "conv", "hidden_sizes": (6,), **switches})
    agent = module.make(Spec("test", space, spaces.Discrete(3)), config)
    params = jax.eval_shape(lambda key: agent.init(key, agent.hyperparameters), key).params
    assert shapes <= {x.shape for x in jax.tree.leaves(params)}


ONE_AXIS, COORDINATES = (SIGNAL, {"torso": "conv1d"}), (IMAGE, {"torso": "conv", **TOLD})


@pytest.mark.parametrize(
    ("space", "switches", "learner"),
    [(*ONE_AXIS, "ppo"), (*COORDINATES, "dqn")]
    + [
        pytest.param(*each, marks=pytest.mark.slow)
        for each in [(*space, "recurrent ppo") for space in (ONE_AXIS, COORDINATES)]
        + [(*ONE_AXIS, "dqn"), (*COORDINATES, "ppo")]
    ],
)
def test_an_update_of_several_seeds(rng, key, space, switches, learner):
    module = dqn if learner == "dqn" else ppo
    cells = {"actor_rnn": "gru", "critic_rnn": "lstm", "rnn_size": 3} if learner == "recurrent ppo" else {}
    sizes = {"num_envs": 2, "batch_size": 2} if module is dqn else {"num_envs": 2, "rollout_length": 3}
    passes = {} if module is dqn else {"num_minibatches": 1, "num_epochs": 1}
    config = module.Config(**sizes, **passes, **cells, convolutions=((4, 3, 2, 1),), hidden_sizes=(5,), **switches)
    agent = module.make(Spec("test", space, spaces.Discrete(3)), config)
    hp = dataclasses.replace(agent.hyperparameters, **({"epsilon": 0.5} if module is dqn else {}))
    steps = (2,) if module is dqn else (3, 2)
    draw = lambda: rng.uniform(space.low, space.high, (*steps, *space.shape)).astype(space.dtype)
    observation, following, ends = draw(), draw(), np.zeros(steps, bool)

    def one(key):
        state = agent.init(key, hp)
        of = lambda action: Transition(observation, action, np.ones(steps, np.float32), ends, ends, following)
        act = lambda o, carry: agent.act(agent.policy(state), o, carry, key, hp)
        if module is dqn:
            batch = Sample(of(act(observation, ())[0]), jnp.arange(2), jnp.ones(2), jnp.ones(2, jnp.int32))
        else:
            carry = agent.initial_carry(2)
            _, (action, extras) = jax.lax.scan(
                lambda carry, o: (lambda a, after, extras: (after, (a, extras)))(*act(o, carry)), carry, observation
            )
            batch = Rollout(of(action), extras, carry)
        return state.params, agent.update(state, batch, key, hp)[0].params

    before, after = jax.jit(jax.vmap(one))(jax.random.split(key, 2))
    moved = [
        (path, np.abs(a - b).reshape(2, -1).max(axis=1))
        for (path, a), b in zip(jax.tree.leaves_with_path(before), jax.tree.leaves(after), strict=True)
        if "Conv_0" in str(path)
    ]
    assert len(moved) == (2 if module is dqn else 4)
    for _, change in moved:
        assert np.all(np.isfinite(change)) and np.all(change > 0)


@pytest.mark.parametrize("module", [ppo, pqn, dqn, iqn], ids=lambda m: m.__name__.rpartition(".")[2])
def test_families_whose_torso_is_initialised_by_name(module, key):
    spec = Spec("test", spaces.Box(-1, 1, (6,)), spaces.Discrete(3))
    agent = module.make(spec, module.Config(hidden_sizes=(4,), kernel_init="orthogonal(3)"))
    params = jax.jit(agent.init)(key, agent.hyperparameters).params
    kernels = [x for path, x in jax.tree.leaves_with_path(params) if "MLP" in str(path) and x.shape == (6, 4)]
    assert len(kernels) == (2 if module is ppo else 1)
    for kernel in kernels:
        np.testing.assert_allclose(kernel.T @ kernel, 9 * np.eye(4), atol=1e-4)
    with pytest.raises(ValueError, match="kernel_init='orthognal'.*did you mean 'orthogonal'"):
        module.Config(kernel_init="orthognal")
