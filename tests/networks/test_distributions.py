import distrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxrl.networks.distributions import (
    Beta,
    Categorical,
    DiagonalGaussian,
    MultiCategorical,
    Product,
    SquashedGaussian,
)


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


def test_a_beta_distribution_agrees_with_scipy(rng):
    alpha, beta = rng.uniform(1.05, 8.0, size=(2, 6, 3)).astype(np.float32)
    ours, oracle = Beta(alpha, beta), stats.beta(alpha, beta, loc=-1, scale=2)
    action = rng.uniform(-0.99, 0.99, size=(6, 3)).astype(np.float32)
    np.testing.assert_allclose(ours.log_prob(action), oracle.logpdf(action).sum(-1), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(ours.entropy(), oracle.entropy().sum(-1), rtol=1e-4, atol=1e-4)
    grid = np.linspace(-1, 1, 20_001)[1:-1]
    densest = grid[np.argmax(oracle.pdf(grid[:, None, None]), axis=0)]
    np.testing.assert_allclose(ours.mode(), densest, atol=2e-4)


@pytest.mark.parametrize("kind", ["categorical", "gaussian", "beta"])
def test_entropy_and_kl_are_expectations_over_samples(rng, key, kind):
    if kind == "beta":
        p, q = (Beta(*rng.uniform(1.05, 8.0, size=(2, 6, 3)).astype(np.float32)) for _ in range(2))
    else:
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


def test_the_fisher_matrix_of_a_masked_policy_is_that_of_what_is_possible(rng):
    # Forward over reverse, as TRPO differentiates: diag(p) - p p^T of the possible actions, and zero for the others.
    logits, mask = rng.normal(size=4).astype(np.float32), np.array([True, False, True, True])
    masked = lambda x: Categorical(jnp.where(mask, x, -jnp.inf))
    kl = lambda x: masked(logits).kl_divergence(masked(x))
    product = jax.jit(lambda v: jax.jvp(jax.grad(kl), (logits,), (v,))[1])
    p = np.where(mask, np.exp(logits), 0) / np.exp(logits[mask]).sum()
    np.testing.assert_allclose(jax.vmap(product)(jnp.eye(4)), np.diag(p) - np.outer(p, p), rtol=1e-4, atol=1e-6)


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
    assert shared.entropy().shape == full.entropy().shape == mean.shape[:-1]
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


def test_the_density_of_a_squashed_gaussian_integrates_to_its_probabilities():
    """By numerical integration over the actions, against the Gaussian's distribution function."""
    for mean, log_std in [(0.0, 0.0), (0.7, -1.0), (-1.5, 0.3)]:
        p = SquashedGaussian(jnp.array([mean]), jnp.array([log_std]))
        a = np.linspace(-0.999, 0.999, 40_001)
        density = np.exp(np.asarray(jax.vmap(p.log_prob)(jnp.asarray(a, jnp.float32)[:, None]), np.float64))
        cumulative = np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2 * np.diff(a))])
        exact = stats.norm.cdf(np.arctanh(a), mean, np.exp(log_std))
        np.testing.assert_allclose(cumulative, exact - exact[0], atol=2e-4)


def test_squashed_densities_of_several_dimensions_multiply(rng):
    mean, log_std = (rng.normal(size=(5, 3)).astype(np.float32) for _ in range(2))
    action = np.tanh(rng.normal(size=(5, 3))).astype(np.float32)
    one = lambda i: SquashedGaussian(mean[:, i : i + 1], log_std[:, i : i + 1]).log_prob(action[:, i : i + 1])
    joint = SquashedGaussian(mean, log_std).log_prob(action)
    np.testing.assert_allclose(joint, sum(one(i) for i in range(3)), rtol=1e-4, atol=1e-4)


def test_a_squashed_sample_has_the_density_that_comes_with_it(rng, key):
    parameters = [rng.normal(0, 0.5, size=(64, 3)).astype(np.float32) for _ in range(2)]
    p = SquashedGaussian(*parameters)
    action, log_prob = jax.jit(lambda p: p.sample_and_log_prob(seed=key))(p)
    assert action.shape == (64, 3) and log_prob.shape == (64,)
    np.testing.assert_allclose(action, p.sample(seed=key), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(log_prob, p.log_prob(action), rtol=1e-3, atol=1e-3)
    oracle = distrax.Independent(
        distrax.Transformed(distrax.Normal(p.mean, jnp.exp(p.log_std)), distrax.Block(distrax.Tanh(), 0)), 1
    )
    np.testing.assert_allclose(log_prob, oracle.log_prob(action), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(p.mode(), np.tanh(p.mean), rtol=1e-5)


@pytest.mark.parametrize("mean", [-30.0, 0.0, 8.0, 50.0])
def test_squashed_densities_are_exact_and_have_gradients_next_to_the_bounds(key, mean):
    """float32 knows no action nearer to 1 than 6e-8, but the density is of the Gaussian that was drawn."""

    def log_prob(mean):
        return jnp.sum(SquashedGaussian(mean, jnp.zeros(1)).sample_and_log_prob(seed=key)[1])

    got, gradient = jax.value_and_grad(log_prob)(jnp.array([mean]))
    u = mean + float(jax.random.normal(key, (1,))[0])
    # log(1 - tanh(u)^2) = -2 log cosh(u), in double precision.
    exact = stats.norm.logpdf(u, mean) + 2 * np.logaddexp(u, -u) - 2 * np.log(2)
    np.testing.assert_allclose(got, exact, rtol=1e-5, atol=1e-5)
    # d/du 2 log cosh(u) = 2 tanh(u).
    np.testing.assert_allclose(gradient, [2 * np.tanh(u)], rtol=1e-4, atol=1e-4)
    bound = SquashedGaussian(jnp.array([mean]), jnp.zeros(1))
    assert np.isfinite(bound.log_prob(jnp.array([1.0]))) and np.isfinite(bound.log_prob(jnp.array([-1.0])))


def test_the_entropy_of_a_squashed_gaussian_is_an_integral():
    # - integral of p log p over the action, with p by the change of variables, in float64 on a fine grid of u.
    mean, std = (x.ravel() for x in np.meshgrid([0.0, 0.7, -2.0], [0.05, 0.5, 1.0, 2.0]))
    z = np.linspace(-10, 10, 20_001)
    u = mean[:, None] + std[:, None] * z
    log_slope = 2 * (np.log(2) - u - np.logaddexp(0, -2 * u))
    log_p = stats.norm.logpdf(z) - np.log(std)[:, None] - log_slope
    want = -np.sum(stats.norm.pdf(z) * log_p, axis=1) * (z[1] - z[0])
    p = SquashedGaussian(jnp.asarray(mean, jnp.float32)[:, None], jnp.log(jnp.asarray(std, jnp.float32))[:, None])
    np.testing.assert_allclose(p.entropy(), want, atol=2e-3)
    joint = SquashedGaussian(p.mean.T, p.log_std.T)
    np.testing.assert_allclose(joint.entropy(), [want.sum()], atol=5e-3)
    assert np.all(np.isfinite(jax.grad(lambda s: SquashedGaussian(p.mean, s).entropy().sum())(p.log_std)))


def test_the_divergence_of_squashed_gaussians_is_an_expectation_over_samples(rng, key):
    (m, s), (n, t) = _gaussians(rng)
    p, q = SquashedGaussian(m, s), SquashedGaussian(n, t)
    u = jax.vmap(lambda k: DiagonalGaussian(m, s).sample(seed=k))(jax.random.split(key, 20_000))
    # Densities of the same u: the slope of tanh is in both.
    draws = DiagonalGaussian(m, s).log_prob(u) - DiagonalGaussian(n, t).log_prob(u)
    error = jnp.std(draws, 0) / jnp.sqrt(len(draws))
    assert np.all(np.abs(p.kl_divergence(q) - jnp.mean(draws, 0)) < 4.5 * error + 1e-5)


def test_parts_of_a_product_are_drawn_apart(key):
    part = DiagonalGaussian(jnp.zeros(3), jnp.zeros(3))
    first, second = Product((part, part)).sample(seed=key)
    assert not np.any(first == second)


def test_independent_choices_add_up():
    # A fair coin, and a choice of 1/4, 1/4 and 1/2; beside it two fair ones of two.
    p = MultiCategorical(jnp.array([[0.0, 0.0, -jnp.inf], [0.0, 0.0, np.log(2)]]))
    q = MultiCategorical(jnp.array([[0.0, 0.0, -jnp.inf], [0.0, 0.0, 0.0]]))
    np.testing.assert_allclose(p.entropy(), 2.5 * np.log(2), rtol=1e-6)
    np.testing.assert_allclose(p.log_prob(jnp.array([1, 2])), -2 * np.log(2), rtol=1e-6)
    np.testing.assert_allclose(p.kl_divergence(q), 0.5 * np.log(3 / 4) + 0.5 * np.log(3 / 2), rtol=1e-5)
    assert p.mode().tolist() == [0, 2]
