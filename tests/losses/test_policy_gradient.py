import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.losses.policy_gradient import (
    adapt_to_kl,
    approximate_kl,
    bound_penalty,
    clipped_surrogate,
    masked_mean,
    mean_penalty,
    normalize,
    smooth_clipped_surrogate,
)

RATIO = jnp.array([1.5, 1.5, 0.5, 0.5, 1.1, 1.1, 1.0])
ADVANTAGE = jnp.array([1.0, -1.0, 1.0, -1.0, 2.0, -2.0, 0.0])


def test_clipped_surrogate_by_hand():
    # An advantage is only credited up to the ratio 1.2, and a disadvantage only down to 0.8.
    got = jax.jit(clipped_surrogate)(RATIO, ADVANTAGE, 0.2)
    np.testing.assert_allclose(got, [-1.2, 1.5, -0.5, 0.8, -2.2, 2.2, 0.0], rtol=1e-6)


def test_the_clipped_surrogates_gradient_stops_where_it_clips():
    gradient = jax.grad(lambda ratio: jnp.sum(clipped_surrogate(ratio, ADVANTAGE, 0.2)))(RATIO)
    np.testing.assert_allclose(gradient, [0.0, 1.0, -1.0, 0.0, -2.0, 2.0, 0.0])


def test_clipped_surrogate_does_not_broadcast():
    with pytest.raises(AssertionError):
        clipped_surrogate(RATIO, ADVANTAGE[:, None], 0.2)


def test_approximate_kl_is_never_negative():
    log_ratio = jnp.concatenate([jnp.linspace(-8, 8, 101), jnp.array([-1e-4, 1e-4, -1e-8, 1e-8, 0.0])])
    got = approximate_kl(log_ratio)
    assert np.all(got >= 0)
    assert got[-1] == 0
    assert np.all(got[:50] > 0)
    # To second order, log_ratio^2 / 2.
    np.testing.assert_allclose(approximate_kl(jnp.array([0.01, -0.01])), 0.5e-4, rtol=0.01)


def test_the_expectation_of_approximate_kl_is_the_kl(rng):
    old, new = rng.dirichlet(np.ones(5)), rng.dirichlet(np.ones(5))
    kl = sum(p * np.log(p / q) for p, q in zip(old, new, strict=True))
    samples = approximate_kl(jnp.log(jnp.asarray(new, jnp.float32)) - jnp.log(jnp.asarray(old, jnp.float32)))
    np.testing.assert_allclose(np.sum(old * samples), kl, rtol=1e-4)


def test_masked_mean_by_hand():
    x = jnp.array([[1.0, 2.0], [3.0, 10.0]])
    assert masked_mean(x) == 4.0
    assert masked_mean(x, jnp.array([[True, False], [True, False]])) == 2.0
    assert masked_mean(x, jnp.zeros((2, 2), bool)) == 0.0


def test_masked_values_do_not_matter_even_where_they_are_not_finite():
    x, mask = jnp.array([1.0, 3.0, jnp.nan, jnp.inf]), jnp.array([True, True, False, False])
    assert masked_mean(x, mask) == 2.0
    np.testing.assert_allclose(normalize(x, mask)[:2], [-1.0, 1.0])
    np.testing.assert_allclose(jax.grad(lambda x: masked_mean(x**2, mask))(x)[:2], [1.0, 3.0])


def test_normalize_is_numpys_standard_score(rng):
    x = rng.normal(3, 2, size=(6, 5)).astype(np.float32)
    np.testing.assert_allclose(normalize(jnp.asarray(x)), (x - x.mean()) / x.std(), rtol=1e-4, atol=1e-5)
    mask = rng.random((6, 5)) < 0.5
    got = normalize(jnp.asarray(x), jnp.asarray(mask))
    chosen = x[mask]
    np.testing.assert_allclose(np.asarray(got)[mask], (chosen - chosen.mean()) / chosen.std(), rtol=1e-4, atol=1e-5)


def test_normalize_of_a_constant_is_zero():
    np.testing.assert_array_equal(normalize(jnp.full((4,), 3.0)), np.zeros(4))
    assert np.all(np.isfinite(normalize(jnp.arange(3.0), jnp.zeros(3, bool))))


def test_the_smooth_clamp_against_rl_games():
    # def smooth_clamp(x, mi, mx): return 1 / (1 + exp((-(x - mi) / (mx - mi) + 0.5) * 4)) * (mx - mi) + mi
    ratio, clip = np.linspace(0.2, 2.0, 13), 0.2
    low, high = 1 - clip, 1 + clip
    clamped = 1 / (1 + np.exp((-(ratio - low) / (high - low) + 0.5) * 4)) * (high - low) + low
    for advantage in (1.5, -0.5):
        want = np.maximum(-advantage * ratio, -advantage * clamped)
        got = smooth_clipped_surrogate(jnp.asarray(ratio), jnp.full(13, advantage), clip)
        np.testing.assert_allclose(got, want, rtol=1e-5)
    slope = jax.grad(lambda r: smooth_clipped_surrogate(r, jnp.ones(()), clip))(jnp.float32(1.0))
    np.testing.assert_allclose(slope, -1.0, rtol=1e-5)


def test_penalties_of_the_mean_against_rl_games(rng):
    mean = rng.normal(0, 1.5, (7, 3)).astype(np.float32)
    want = (np.maximum(mean - 1.1, 0) ** 2 + np.minimum(mean + 1.1, 0) ** 2).sum(-1)
    np.testing.assert_allclose(bound_penalty(mean), want, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(mean_penalty(mean), (mean**2).sum(-1), rtol=1e-5)


@pytest.mark.parametrize(("kl", "want"), [(0.021, 2.0), (0.019, 3.0), (0.0051, 3.0), (0.0049, 4.5)])
def test_adapting_to_a_divergence(kl, want):
    np.testing.assert_allclose(adapt_to_kl(jnp.float32(3.0), kl, 0.01, above=1 / 1.5, below=1.5), want, rtol=1e-6)


def test_the_mean_of_the_shards_of_a_mean_is_that_of_the_whole(rng):
    x, mask = rng.normal(size=(8, 5)).astype(np.float32), rng.random((8, 5)) < 0.4
    mask[3] = False
    share = lambda x, m: masked_mean(x**2, m, "i")
    got = jax.vmap(share, axis_name="i")(x, mask)
    np.testing.assert_allclose(np.mean(got), np.mean(x[mask] ** 2), rtol=1e-5)
    gradient = jax.vmap(jax.grad(share), axis_name="i")(x, mask) / 8
    np.testing.assert_allclose(gradient, np.where(mask, 2 * x, 0) / mask.sum(), rtol=1e-5, atol=1e-7)


def test_shards_have_the_mean_and_the_deviation_of_the_whole(rng):
    x, mask = rng.normal(2, 3, (8, 5)).astype(np.float32), rng.random((8, 5)) < 0.7
    got = jax.vmap(lambda x, m: normalize(x, m, axis_name="i"), axis_name="i")(x, mask)
    np.testing.assert_allclose(got, normalize(x, mask), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("value", "kl", "want"), [(1.2e-8, 1.0, 1e-8), (0.9e8, 0.0, 1e8), (1.0, 1.0, 1 / 1.5)])
def test_what_adapts_stays_where_something_leads_back_from(value, kl, want):
    np.testing.assert_allclose(adapt_to_kl(jnp.float32(value), kl, 0.01, above=1 / 1.5, below=1.5), want, rtol=1e-6)
