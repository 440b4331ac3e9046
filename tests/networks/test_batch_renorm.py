import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.networks.batch_renorm import BatchRenorm


def start(layer, x):
    return layer.init(jax.random.key(0), x)


def train(layer, variables, x):
    y, changed = layer.apply(variables, x, train=True, mutable=["batch_stats"])
    return y, {**variables, **changed}


def test_while_it_warms_up_it_is_batch_normalisation(rng):
    x = rng.normal(3.0, 2.0, size=(64, 5)).astype(np.float32)
    layer = BatchRenorm(epsilon=1e-5)
    y, _ = train(layer, start(layer, x), x)
    np.testing.assert_allclose(y, (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5), rtol=1e-4, atol=1e-5)


def test_running_statistics_by_hand(rng):
    layer = BatchRenorm(momentum=0.9)
    batches = rng.normal(1.0, 3.0, size=(3, 16, 2)).astype(np.float32)
    variables = start(layer, batches[0])
    mean, variance = np.zeros(2), np.ones(2)
    for x in batches:
        _, variables = train(layer, variables, x)
        mean, variance = 0.9 * mean + 0.1 * x.mean(0), 0.9 * variance + 0.1 * x.var(0)
    stats = variables["batch_stats"]
    np.testing.assert_allclose(stats["mean"], mean, rtol=1e-5)
    np.testing.assert_allclose(stats["variance"], variance, rtol=1e-5)
    assert stats["steps"] == 3
    x = batches[0]
    np.testing.assert_allclose(layer.apply(variables, x), (x - mean) / np.sqrt(variance + 1e-3), rtol=1e-4, atol=1e-5)


def test_after_warming_up_training_sees_what_evaluation_sees(rng):
    layer = BatchRenorm(warmup_steps=0)
    x = rng.normal(0.3, 1.4, size=(256, 3)).astype(np.float32)
    variables = start(layer, x)  # running mean 0, variance 1: within the bounds of r and d
    y, _ = train(layer, variables, x)
    np.testing.assert_allclose(y, layer.apply(variables, x), rtol=1e-4, atol=1e-5)


def test_ratio_and_distance_are_bounded(rng):
    layer = BatchRenorm(warmup_steps=0, r_max=2.0, d_max=0.5, epsilon=1e-6)
    x = rng.normal(100.0, 10.0, size=(256, 1)).astype(np.float32)
    y, _ = train(layer, start(layer, x), x)
    np.testing.assert_allclose(y, (x - x.mean()) / x.std() * 2.0 + 0.5, rtol=1e-3, atol=1e-3)


def test_ratio_and_distance_count_as_constants(rng):
    """The gradient is that of batch normalisation, times r."""
    x = rng.normal(0.2, 1.5, size=(32, 1)).astype(np.float32)
    target = rng.normal(size=(32, 1)).astype(np.float32)
    gradient = lambda layer: jax.grad(lambda x: jnp.sum(target * train(layer, start(layer, x), x)[0]))(x)
    r = np.sqrt(x.var() + 1e-3) / np.sqrt(1 + 1e-3)
    np.testing.assert_allclose(gradient(BatchRenorm(warmup_steps=0)), r * gradient(BatchRenorm()), rtol=1e-3, atol=1e-5)


def test_evaluation_changes_nothing(rng):
    layer = BatchRenorm()
    x = rng.normal(size=(8, 2)).astype(np.float32)
    variables = start(layer, x)
    _, changed = layer.apply(variables, x, mutable=["batch_stats"])
    jax.tree.map(np.testing.assert_array_equal, changed["batch_stats"], variables["batch_stats"])
