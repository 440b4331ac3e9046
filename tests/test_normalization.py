import jax
import jax.numpy as jnp
import numpy as np

from jaxrl import normalization


def test_batches_give_the_statistics_of_all_samples(rng):
    batches = [rng.normal(3.0, 2.0, size=(n, 3)).astype(np.float32) for n in (1, 7, 64, 3)]
    statistics = normalization.init(3)
    for batch in batches:
        statistics = jax.jit(normalization.update)(statistics, batch)
    samples = np.concatenate(batches).astype(np.float64)
    assert statistics.count == len(samples)
    np.testing.assert_allclose(statistics.mean, samples.mean(0), rtol=1e-5)
    np.testing.assert_allclose(statistics.variance, samples.var(0), rtol=1e-5)


def test_leading_axes_are_all_samples(rng):
    x = rng.normal(size=(4, 5, 2)).astype(np.float32)
    flat, shaped = (normalization.update(normalization.init(2), y) for y in (x.reshape(20, 2), x))
    for got, want in zip(shaped, flat, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5)


def test_what_a_mask_keeps_out_does_not_count(rng):
    x = rng.normal(size=(6, 2)).astype(np.float32)
    valid = np.array([True, False, True, True, False, True])
    start = normalization.update(normalization.init(2), x + 1.0)
    masked = normalization.update(start, x, valid)
    for got, want in zip(masked, normalization.update(start, x[valid]), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5)
    for got, want in zip(normalization.update(start, x, np.zeros(6, bool)), start, strict=True):
        np.testing.assert_array_equal(got, want)


def test_statistics_stay_precise_far_from_zero(rng):
    x = (1000.0 + rng.normal(size=(500, 20, 1))).astype(np.float32)
    statistics, _ = jax.lax.scan(lambda s, b: (normalization.update(s, b), None), normalization.init(1), x)
    np.testing.assert_allclose(statistics.variance, x.astype(np.float64).var(), rtol=1e-2)


def test_normalized_features_have_mean_zero_and_deviation_one(rng):
    x = rng.normal([-5.0, 100.0], [0.1, 30.0], size=(1000, 2)).astype(np.float32)
    y = normalization.normalize(normalization.update(normalization.init(2), x), x)
    np.testing.assert_allclose(np.mean(y, 0), 0.0, atol=1e-3)
    np.testing.assert_allclose(np.std(y, 0), 1.0, rtol=1e-3)


def test_nothing_seen_leaves_features_as_they_are_but_for_the_bound():
    x = jnp.array([[-20.0, 0.5]])
    np.testing.assert_allclose(normalization.normalize(normalization.init(2), x), [[-10.0, 0.5]])


def test_a_constant_feature_is_zero():
    statistics = normalization.update(normalization.init(1), jnp.full((8, 1), 7.0))
    np.testing.assert_array_equal(normalization.normalize(statistics, jnp.full((2, 1), 7.0)), 0.0)
