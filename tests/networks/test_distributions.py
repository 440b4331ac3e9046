import distrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxrl.networks.distributions import Beta, Categorical, DiagonalGaussian, MultiCategorical, Product


def _categoricals(rng, shape=(6, 4)):
    """Two batches of logits that are not normalised."""
    return (rng.normal(2, 3, size=(2, *shape))).astype(np.float32)


def _gaussians(rng, shape=(6, 3)):
    return [
        (rng.normal(size=shape).astype(np.float32), rng.normal(0, 0.7, size=shape).astype(np.float32)) for _ in range(2)
    ]


def _pair(rng, kind):
    """Ours and distrax's, two distributions each."""
    if kind == "categorical":
        logits = _categoricals(rng)
        return [Categorical(x) for x in logits], [distrax.Categorical(logits=x) for x in logits]
    parameters = _gaussians(rng)
    return (
        [DiagonalGaussian(m, s) for m, s in parameters],
        [distrax.MultivariateNormalDiag(m, np.exp(s)) for m, s in parameters],
    )


@pytest.mark.parametrize("kind", ["categorical", "gaussian"])
def test_everything_agrees_with_distrax(rng, key, kind):
    (p, q), (p_oracle, q_oracle) = _pair(rng, kind)
    action = p_oracle.sample(seed=key)
    numbers = lambda p, q: (p.log_prob(action), p.entropy(), p.kl_divergence(q), p.mode())
    for got, want in zip(jax.jit(numbers)(p, q), jax.jit(lambda: numbers(p_oracle, q_oracle))(), strict=True):
        assert got.shape == want.shape
        assert got.dtype == want.dtype
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(p.kl_divergence(p), 0, atol=1e-6)


@pytest.mark.parametrize("kind", ["categorical", "gaussian"])
def test_entropy_and_kl_are_expectations_over_samples(rng, key, kind):
    p, q = _pair(rng, kind)[0]

    @jax.jit
    def estimate(p, q):
        actions = jax.vmap(lambda k: p.sample(seed=k))(jax.random.split(key, 20_000))
        log_p, log_q = jax.vmap(p.log_prob)(actions), jax.vmap(q.log_prob)(actions)
        mean_and_error = lambda x: (jnp.mean(x, 0), jnp.std(x, 0) / jnp.sqrt(len(x)))
        return mean_and_error(-log_p), mean_and_error(log_p - log_q)

    for got, (mean, error) in zip((p.entropy(), p.kl_divergence(q)), estimate(p, q), strict=True):
        assert np.all(np.abs(got - mean) < 4.5 * error + 1e-5)


def test_categorical_by_hand():
    p = Categorical(jnp.log(jnp.array([0.5, 0.25, 0.25])) + 7.0)
    q = Categorical(jnp.log(jnp.array([0.25, 0.25, 0.5])))
    np.testing.assert_allclose(p.log_prob(jnp.array(0)), np.log(0.5), rtol=1e-5)
    np.testing.assert_allclose(p.entropy(), 1.5 * np.log(2), rtol=1e-5)
    np.testing.assert_allclose(p.kl_divergence(q), 0.25 * np.log(2), rtol=1e-4)
    assert p.mode() == 0


def test_categorical_samples_have_the_frequencies_of_the_probabilities(key):
    probs = np.array([0.1, 0.0, 0.3, 0.6])
    sample = Categorical(jnp.broadcast_to(jnp.log(probs), (10_000, 4))).sample(seed=key)
    assert jnp.issubdtype(sample.dtype, jnp.integer)
    counts = np.bincount(sample, minlength=4)
    assert counts[1] == 0
    assert stats.chisquare(counts[[0, 2, 3]], 10_000 * probs[[0, 2, 3]]).pvalue > 1e-3


@pytest.mark.parametrize("dtype", [jnp.uint8, jnp.int8, jnp.int32, jnp.float32])
def test_categorical_takes_actions_of_any_dtype(rng, dtype):
    logits = _categoricals(rng)[0]
    action = rng.integers(0, 4, 6)
    want = logits[np.arange(6), action] - np.log(np.sum(np.exp(logits.astype(np.float64)), axis=-1))
    np.testing.assert_allclose(Categorical(logits).log_prob(action.astype(dtype)), want, rtol=1e-5, atol=1e-5)


def test_impossible_actions_contribute_nothing_and_have_no_gradient(rng):
    logits, others = _categoricals(rng, (5,))
    masked = lambda x: Categorical(jnp.concatenate([x[:3], jnp.full((2,), -jnp.inf)]))
    possible = lambda x: Categorical(x[:3])
    for quantity in (
        lambda of: lambda x: of(x).entropy(),
        lambda of: lambda x: of(x).kl_divergence(of(others)),
        lambda of: lambda x: of(others).kl_divergence(of(x)),
        lambda of: lambda x: of(x).log_prob(jnp.array(1)),
    ):
        got, gradient = jax.jit(jax.value_and_grad(quantity(masked)))(logits)
        want, want_gradient = jax.jit(jax.value_and_grad(quantity(possible)))(logits)
        np.testing.assert_allclose(got, want, rtol=1e-5)
        np.testing.assert_allclose(gradient, want_gradient, rtol=1e-4, atol=1e-5)
    assert np.all(np.isfinite(jax.grad(lambda x: Categorical(x).entropy())(jnp.array([0.0, 1.0, -jnp.inf]))))


def test_the_kl_to_a_policy_that_cannot_do_it_is_infinite():
    assert Categorical(jnp.zeros(2)).kl_divergence(Categorical(jnp.array([0.0, -jnp.inf]))) == jnp.inf


def test_gaussian_by_hand():
    # Standard deviations 1 and e; the action is off by one deviation in the second.
    p = DiagonalGaussian(jnp.array([0.0, 1.0]), jnp.array([0.0, 1.0]))
    half_log_two_pi = 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(p.log_prob(jnp.array([0.0, 1 + np.e])), -2 * half_log_two_pi - 1 - 0.5, rtol=1e-6)
    np.testing.assert_allclose(p.entropy(), 2 * half_log_two_pi + 1 + 1, rtol=1e-6)
    # KL(N(0, 1) || N(1, e^2)) = 1 + (1 + 1) / (2 e^2) - 1/2.
    q = DiagonalGaussian(jnp.array([1.0, 1.0]), jnp.array([1.0, 1.0]))
    np.testing.assert_allclose(p.kl_divergence(q), 1 + np.exp(-2) - 0.5, rtol=1e-6)
    np.testing.assert_array_equal(p.mode(), [0.0, 1.0])


def test_gaussian_samples_have_mean_and_deviation_and_independent_dimensions(key):
    mean, log_std = jnp.array([-1.0, 2.0, 0.0]), jnp.array([-1.0, 0.5, 0.0])
    x = np.asarray(
        DiagonalGaussian(jnp.broadcast_to(mean, (20_000, 3)), jnp.broadcast_to(log_std, (20_000, 3))).sample(seed=key)
    )
    z = (x - mean) / np.exp(log_std)
    for column in np.asarray(z).T:
        assert stats.kstest(column, "norm").pvalue > 1e-3
    np.testing.assert_allclose(np.corrcoef(z.T), np.eye(3), atol=0.03)
    assert abs(np.corrcoef(z[:-1, 0], z[1:, 0])[0, 1]) < 0.03


def test_gaussian_with_one_deviation_for_the_whole_batch(rng):
    (mean, _), (other, _) = _gaussians(rng)
    log_std = np.array([-0.5, 0.0, 0.7], np.float32)
    shared, full = DiagonalGaussian(mean, log_std), DiagonalGaussian(mean, np.broadcast_to(log_std, mean.shape))
    np.testing.assert_allclose(shared.entropy(), full.entropy())
    np.testing.assert_allclose(shared.log_prob(other), full.log_prob(other))
    np.testing.assert_allclose(
        shared.kl_divergence(shared._replace(mean=other)), full.kl_divergence(full._replace(mean=other))
    )


def test_an_action_that_lost_its_last_axis_does_not_broadcast():
    with pytest.raises(AssertionError):
        DiagonalGaussian(jnp.zeros((5, 1)), jnp.zeros((5, 1))).log_prob(jnp.zeros(5))


def test_distributions_are_pytrees(rng):
    (mean, log_std), _ = _gaussians(rng)
    entropy = jax.vmap(lambda d: d.entropy())(DiagonalGaussian(mean, log_std))
    np.testing.assert_allclose(entropy, DiagonalGaussian(mean, log_std).entropy(), rtol=1e-6)


def _products(rng):
    """Pairs of the other distributions, for 4 states."""
    pad = np.where(np.arange(3) < np.array([[3], [2]]), 0.0, -np.inf).astype(np.float32)
    multi = [MultiCategorical(jnp.asarray(x + pad)) for x in _categoricals(rng, (4, 2, 3))]
    beta = [Beta(*jnp.asarray(1 + rng.gamma(2.0, size=(2, 4, 2)).astype(np.float32))) for _ in range(2)]
    gaussian = [DiagonalGaussian(m, s) for m, s in _gaussians(rng, (4, 2))]
    return {
        "multi_categorical": multi,
        "beta": beta,
        "product": [Product({"a": m, "b": (b)}) for m, b in zip(multi, gaussian, strict=True)],
        "tuple": [Product((g, b)) for g, b in zip(gaussian, beta, strict=True)],
    }


@pytest.mark.parametrize("kind", ["multi_categorical", "beta", "product", "tuple"])
def test_entropy_and_kl_of_products_by_monte_carlo(rng, key, kind):
    p, q = _products(rng)[kind]

    @jax.jit
    def estimate(p, q):
        actions = jax.vmap(lambda k: p.sample(seed=k))(jax.random.split(key, 8_000))
        log_p, log_q = jax.vmap(p.log_prob)(actions), jax.vmap(q.log_prob)(actions)
        mean_and_error = lambda x: (jnp.mean(x, 0), jnp.std(x, 0) / jnp.sqrt(len(x)))
        return mean_and_error(-log_p), mean_and_error(log_p - log_q)

    for got, (mean, error) in zip((p.entropy(), p.kl_divergence(q)), estimate(p, q), strict=True):
        assert got.shape == (4,)
        assert np.all(np.abs(got - mean) < 4.5 * error + 1e-4)
    np.testing.assert_allclose(p.kl_divergence(p), 0, atol=1e-5)


def test_beta_against_scipy(rng, key):
    a, b = 1 + rng.gamma(2.0, size=(2, 5, 1)).astype(np.float32)
    p, x = Beta(a, b), rng.uniform(-0.99, 0.99, (5, 1)).astype(np.float32)
    oracle = stats.beta(a.astype(np.float64), b.astype(np.float64), loc=-1, scale=2)
    np.testing.assert_allclose(p.log_prob(x), oracle.logpdf(x)[:, 0], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(p.entropy(), oracle.entropy()[:, 0], rtol=1e-3, atol=1e-4)
    grid = np.linspace(-0.999, 0.999, 2001)
    densest = grid[np.argmax(oracle.logpdf(grid), axis=1)]
    np.testing.assert_allclose(p.mode()[:, 0], densest, atol=2e-3)
    draws = np.asarray(jax.vmap(lambda k: p.sample(seed=k))(jax.random.split(key, 3_000)))
    assert np.all(np.abs(draws) < 1)
    for i in range(5):
        assert stats.kstest(draws[:, i, 0], stats.beta(a[i, 0], b[i, 0], loc=-1, scale=2).cdf).pvalue > 1e-3
    assert np.isfinite(p.log_prob(np.ones((5, 1), np.float32))).all()


def test_a_multi_categorical_is_its_parts(rng, key):
    (p, _), sizes = _products(rng)["multi_categorical"], (3, 2)
    parts = [Categorical(p.logits[:, i, :n]) for i, n in enumerate(sizes)]
    action = p.sample(seed=key)
    np.testing.assert_allclose(
        p.log_prob(action), sum(d.log_prob(action[:, i]) for i, d in enumerate(parts)), rtol=1e-5
    )
    np.testing.assert_allclose(p.entropy(), sum(d.entropy() for d in parts), rtol=1e-5)
    np.testing.assert_array_equal(p.mode(), np.stack([d.mode() for d in parts], axis=-1))
