import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.networks.actor_critic import Actor, Critic, Layers
from jaxrl.networks.ensemble import Ensemble
from jaxrl.networks.initializers import symmetric_uniform
from jaxrl.networks.policies import DeterministicHead, SquashedGaussianHead


@pytest.fixture
def batch(rng):
    return rng.normal(size=(6, 3)).astype(np.float32), rng.normal(size=(6, 2)).astype(np.float32)


def critic(**layers):
    return Critic("mlp", lambda: Layers((8, 8), **layers))


@pytest.mark.parametrize(
    ("joins", "widths"), [((0,), (5, 8)), ((1,), (3, 10)), ((0, 1), (5, 10))], ids=["first", "second", "both"]
)
def test_the_action_joins_where_it_is_told_to(key, batch, joins, widths):
    network = critic(action_layers=joins)
    params = network.init(key, *batch)["params"]["Layers_0"]
    assert tuple(params[f"Dense_{i}"]["kernel"].shape[0] for i in range(2)) == widths


def test_an_action_at_the_second_layer_by_hand(key, batch):
    x, action = batch
    network = critic(action_layers=(1,))
    variables = network.init(key, x, action)
    layers, last = variables["params"]["Layers_0"], variables["params"]["Dense_0"]
    dense = lambda x, p: x @ p["kernel"] + p["bias"]
    h = np.maximum(dense(x, layers["Dense_0"]), 0)
    h = np.maximum(dense(np.concatenate([h, action], 1), layers["Dense_1"]), 0)
    np.testing.assert_allclose(network.apply(variables, x, action), dense(h, last)[:, 0], rtol=1e-4, atol=1e-6)


def test_a_critic_of_one_value_has_no_axis_that_could_broadcast(key, batch):
    assert jax.eval_shape(lambda: critic().init_with_output(key, *batch)[0]).shape == (6,)
    quantiles = Critic("mlp", lambda: Layers((8,)), outputs=1)
    assert jax.eval_shape(lambda: quantiles.init_with_output(key, *batch)[0]).shape == (6, 1)


def test_an_ensemble_is_its_members(key, batch):
    """Each has weights of its own, and computes what it would alone."""
    ensemble = Ensemble(critic, 3)
    variables = ensemble.init(key, *batch)
    together = ensemble.apply(variables, *batch)
    assert together.shape == (3, 6)
    (name,) = variables["params"]
    for i in range(3):
        params = jax.tree.map(lambda leaf, i=i: leaf[i], variables["params"][name])
        np.testing.assert_allclose(critic().apply({"params": params}, *batch), together[i], rtol=1e-5, atol=1e-6)
    assert not np.allclose(together[0], together[1])
    first = Ensemble(critic, 1).apply(jax.tree.map(lambda leaf: leaf[:1], variables), *batch)
    np.testing.assert_allclose(first, together[:1], rtol=1e-5, atol=1e-6)


def test_dropout_is_on_with_a_key_alone_and_independent_for_each_member(key, batch):
    ensemble = Ensemble(lambda: critic(dropout=0.5), 2)
    variables = ensemble.init(key, *batch)
    # Two members with the same weights differ by their dropout alone.
    variables = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf[:1], leaf.shape), variables)
    still = ensemble.apply(variables, *batch)
    np.testing.assert_allclose(still[0], still[1], rtol=1e-6)
    dropped = ensemble.apply(variables, *batch, rngs={"dropout": key})
    assert not np.allclose(dropped[0], dropped[1]) and not np.allclose(dropped[0], still[0])


def test_batch_renormalisation_comes_before_every_dense_layer(key, batch):
    network = Ensemble(lambda: critic(normalization="batch"), 2)
    variables = network.init(key, *batch)
    (stats,) = variables["batch_stats"].values()
    assert [stats["Layers_0"][f"BatchRenorm_{i}"]["mean"].shape for i in range(3)] == [(2, 5), (2, 8), (2, 8)]
    _, changed = network.apply(variables, *batch, train=True, mutable=["batch_stats"])
    moved = changed["batch_stats"]
    assert all(np.any(a != b) for a, b in zip(*map(jax.tree.leaves, (moved, variables["batch_stats"])), strict=True))


def test_layer_normalisation_comes_before_the_activation(key, batch):
    x, _ = batch
    network = Layers((8,), normalization="layer")
    variables = network.init(key, x)
    dense = variables["params"]["Dense_0"]
    h = x @ dense["kernel"] + dense["bias"]
    h = (h - h.mean(1, keepdims=True)) / np.sqrt(h.var(1, keepdims=True) + 1e-6)
    np.testing.assert_allclose(network.apply(variables, x), np.maximum(h, 0), rtol=1e-3, atol=1e-5)


def test_last_layers_begin_within_their_bound(key, batch):
    x, action = batch
    bound = symmetric_uniform(3e-3)
    actor = Actor("mlp", lambda: Layers((8,)), lambda: DeterministicHead(2, bound))
    policy = actor.init_with_output(key, x)[0]
    assert policy.shape == (6, 2) and np.abs(policy).max() < 0.1
    q = Critic("mlp", lambda: Layers((8,)), None, bound).init_with_output(key, x, action)[0]
    assert np.abs(q).max() < 0.1


@pytest.mark.parametrize("bounding", ["clip", "tanh"])
def test_log_deviations_stay_within_bounds(key, bounding):
    x = 1e3 * jax.random.normal(key, (64, 4))
    head = SquashedGaussianHead(3, (-5.0, 2.0), bounding)
    policy = head.init_with_output(key, x)[0]
    assert policy.mean.shape == policy.log_std.shape == (64, 3)
    np.testing.assert_allclose([policy.log_std.min(), policy.log_std.max()], [-5.0, 2.0], atol=1e-3)


def test_log_deviations_between_the_bounds(key):
    x = 0.1 * jax.random.normal(key, (64, 4))
    raw = lambda bounding: SquashedGaussianHead(3, (-5.0, 2.0), bounding).init_with_output(key, x)[0].log_std
    # tanh maps x to -5 + 3.5 (tanh(x) + 1); clip leaves it.
    np.testing.assert_allclose(raw("tanh"), -5.0 + 3.5 * (np.tanh(raw("clip")) + 1.0), rtol=1e-5)
