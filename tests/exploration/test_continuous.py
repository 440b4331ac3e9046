import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from jaxrl.exploration.continuous import gaussian_noise, ornstein_uhlenbeck, random_action, smoothing_noise

N = 20_000


def assert_independent(noise):
    """Rows and dimensions of ``[B, n]`` have draws of their own."""
    np.testing.assert_allclose(np.corrcoef(np.asarray(noise).T), np.eye(noise.shape[1]), atol=0.03)
    assert abs(np.corrcoef(noise[:-1, 0], noise[1:, 0])[0, 1]) < 0.03


def test_gaussian_noise_has_its_deviation_and_a_draw_for_each_dimension(key):
    action = jnp.broadcast_to(jnp.array([0.3, -0.2, 0.0]), (N, 3))
    noise = jax.jit(gaussian_noise)(key, action, 0.1) - action
    for column in np.asarray(noise).T:
        assert stats.kstest(column / 0.1, "norm").pvalue > 1e-3
    assert_independent(noise)


def test_noisy_actions_stay_within_bounds(key):
    action = jnp.broadcast_to(jnp.array([0.95, -1.0]), (N, 2))
    noisy = gaussian_noise(key, action, 0.5)
    assert jnp.max(noisy) == 1.0 and jnp.min(noisy) == -1.0
    smoothed = smoothing_noise(key, action, 0.2, 0.5)
    assert jnp.max(smoothed) == 1.0 and jnp.min(smoothed) == -1.0
    np.testing.assert_array_equal(gaussian_noise(key, action, 0.0), action)


def test_smoothing_noise_is_clipped_before_it_is_added(key):
    noise = np.asarray(smoothing_noise(key, jnp.zeros((N, 2)), 0.4, 0.5))
    assert np.abs(noise).max() == 0.5
    # Beyond 1.25 deviations on either side.
    np.testing.assert_allclose(np.mean(np.abs(noise) == 0.5), 2 * stats.norm.sf(1.25), atol=0.01)
    assert_independent(noise)


def test_ornstein_uhlenbeck_by_hand(key):
    noise = jnp.array([[0.5, -0.2]])
    draw = jax.random.normal(key, (1, 2))
    np.testing.assert_allclose(ornstein_uhlenbeck(key, noise, 0.15, 0.3), 0.85 * noise + 0.3 * draw, rtol=1e-6)
    np.testing.assert_allclose(ornstein_uhlenbeck(key, noise, 0.15, 0.0), [[0.425, -0.17]], rtol=1e-6)


def test_ornstein_uhlenbeck_has_its_stationary_law(key):
    def step(noise, key):
        noise = ornstein_uhlenbeck(key, noise, 0.15, 0.2)
        return noise, noise

    _, path = jax.lax.scan(step, jnp.zeros((500, 2)), jax.random.split(key, 400))
    late = np.asarray(path[200:])
    # x' = 0.85 x + 0.2 e: variance 0.04 / (1 - 0.85^2), correlation 0.85 from step to step.
    np.testing.assert_allclose(late.var(), 0.04 / (1 - 0.85**2), rtol=0.05)
    np.testing.assert_allclose(np.corrcoef(late[:-1].ravel(), late[1:].ravel())[0, 1], 0.85, atol=0.01)
    assert abs(np.corrcoef(late[..., 0].ravel(), late[..., 1].ravel())[0, 1]) < 0.05


def test_random_actions_come_with_their_probability_and_are_uniform(key):
    action = jnp.full((N, 2), 2.0)
    got = np.asarray(jax.jit(random_action)(key, action, 0.25))
    random = (got != 2.0).all(axis=1)
    assert not (got[~random] != 2.0).any()
    assert stats.binomtest(int(random.sum()), N, 0.25).pvalue > 1e-3
    for column in got[random].T:
        assert stats.kstest(column, "uniform", (-1, 2)).pvalue > 1e-3
    np.testing.assert_array_equal(random_action(key, action, 0.0), action)
    assert (random_action(key, action, 1.0) <= 1.0).all()


def test_whether_an_action_is_random_says_nothing_of_it(key):
    action = random_action(key, jnp.full((4000, 1), 5.0), 0.5)
    chosen = np.asarray(action)[np.asarray(action) < 5]
    assert stats.kstest(chosen, "uniform", args=(-1, 2)).pvalue > 1e-3
