import jax
import jax.numpy as jnp
import numpy as np
import pytest
import rlax
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxrl.losses.distributional import (
    categorical_cross_entropy,
    categorical_kl,
    categorical_mean,
    categorical_projection,
    categorical_target,
    midpoint_taus,
    quantile_huber,
)
from jaxrl.losses.value import select

projection = jax.jit(categorical_projection)
C51 = np.linspace(-10, 10, 51, dtype=np.float32)


def _project_by_loops(support_values, probabilities, support):
    """Algorithm 1 of the paper in float64, with the mass of an atom on the grid kept (there l = u loses it)."""
    support = support.astype(np.float64)
    delta = (support[-1] - support[0]) / (len(support) - 1)
    projected = np.zeros((len(support_values), len(support)))
    for b in range(len(support_values)):
        for value, mass in zip(support_values[b], probabilities[b], strict=True):
            place = (np.clip(float(value), support[0], support[-1]) - support[0]) / delta
            lower = min(int(np.floor(place)), len(support) - 2)
            projected[b, lower] += mass * (lower + 1 - place)
            projected[b, lower + 1] += mass * (place - lower)
    return projected


# --- Categorical: projection


@pytest.mark.parametrize("jit", [True, False])
def test_projection_by_hand(jit):
    # Atoms at -1, 0, 1 with masses 0.2, 0.5, 0.3, moved to r + z / 2.
    support, probabilities = np.array([-1.0, 0.0, 1.0], np.float32), np.array([[0.2, 0.5, 0.3]] * 3, np.float32)
    moved = np.array([[0.0], [0.25], [0.75]], np.float32) + 0.5 * support
    expected = [
        [0.1, 0.5 + 0.1 + 0.15, 0.15],  # -0.5, 0, 0.5
        [0.05, 0.15 + 0.375 + 0.075, 0.125 + 0.225],  # -0.25, 0.25, 0.75
        [0.0, 0.15 + 0.125, 0.05 + 0.375 + 0.3],  # 0.25, 0.75, 1.25
    ]
    got = (projection if jit else categorical_projection)(moved, probabilities, support)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-7)
    assert got.dtype == jnp.float32


def test_projection_is_the_papers_loop_and_rlaxs(rng):
    probabilities = rng.dirichlet(np.ones(51), size=32).astype(np.float32)
    atoms = (rng.normal(0, 5, size=(32, 1)) + rng.uniform(0, 1, (32, 1)) * C51).astype(np.float32)
    got = projection(atoms, probabilities, C51)
    np.testing.assert_allclose(got, _project_by_loops(atoms, probabilities, C51), atol=2e-6)
    oracle = jax.vmap(rlax.categorical_l2_project, (0, 0, None))(atoms, probabilities, C51)
    np.testing.assert_allclose(got, oracle, atol=2e-6)


def test_atoms_on_the_grid_stay_whole(rng):
    probabilities = rng.dirichlet(np.ones(51), size=8).astype(np.float32)
    got = projection(np.broadcast_to(C51, (8, 51)), probabilities, C51)
    np.testing.assert_allclose(got, probabilities, atol=2e-7)
    # Shifted by three atoms, what falls off the end stays there; the grid of eighths is exact in binary.
    support = np.arange(-8, 9, dtype=np.float32) / 8
    probabilities = rng.dirichlet(np.ones(17), size=8).astype(np.float32)
    got = projection(np.broadcast_to(support + 3 / 8, (8, 17)), probabilities, support)
    expected = np.zeros((8, 17), np.float32)
    expected[:, 3:] = probabilities[:, :14]
    expected[:, 16] += probabilities[:, 14:].sum(axis=1)
    # Masses are differences of sums: right to a rounding of the whole, 2^-23.
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=2**-22)


@pytest.mark.parametrize(("place", "end"), [(-1e9, 0), (-10.5, 0), (-10.0, 0), (10.0, 50), (10.5, 50), (np.inf, 50)])
def test_what_lies_beyond_an_end_goes_to_that_end(place, end):
    got = projection(np.full((1, 51), place, np.float32), np.full((1, 51), 1 / 51, np.float32), C51)
    np.testing.assert_allclose(got[0], np.eye(51)[end], atol=1e-6)


REWARDS = st.one_of(
    st.floats(-30, 30, width=32),
    st.integers(-60, 60).map(lambda steps: np.float32(0.4) * steps),  # atoms on the grid, inside and beyond it
    st.sampled_from([-1e8, -10.0, 0.0, 10.0, 1e8]),
)
DISCOUNTS = st.one_of(st.floats(0, 1, width=32), st.sampled_from([0.0, 0.5, 1.0]))


@settings(max_examples=100, deadline=None)
@given(REWARDS, DISCOUNTS, st.integers(0, 2**16), st.sampled_from([0.01, 1.0, 100.0]))
def test_mass_is_conserved(reward, discount, seed, concentration):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(51, concentration), size=2).astype(np.float32)
    mass = probabilities.astype(np.float64).sum(axis=1)
    atoms = np.float32(reward) + np.float32(discount) * np.stack([C51, C51[::-1]])
    got = np.asarray(projection(atoms, probabilities, C51), np.float64)
    assert np.all(got >= 0)
    np.testing.assert_allclose(got.sum(axis=1), mass, rtol=5e-7)
    # Where an end clamps, the mean is that of the clamped atoms.
    mean = (np.clip(atoms, -10, 10).astype(np.float64) * probabilities).sum(axis=1)
    np.testing.assert_allclose(got @ C51.astype(np.float64), mean, atol=2e-5)


def test_the_support_may_be_uneven_and_of_another_size(rng):
    support = np.array([-3.0, -1.0, 0.0, 4.0], np.float32)
    got = projection(np.array([[-2.5, 3.0]], np.float32), np.array([[0.4, 0.6]], np.float32), support)
    np.testing.assert_allclose(got, [[0.3, 0.1, 0.15, 0.45]], rtol=1e-6)


def test_projection_does_not_broadcast():
    good = jnp.zeros((4, 3)), jnp.zeros((4, 3)), jnp.arange(3.0)
    for place, bad in [(0, jnp.zeros((4, 1))), (0, jnp.zeros(3)), (1, jnp.zeros((1, 3))), (2, jnp.zeros((1, 3)))]:
        with pytest.raises(AssertionError):
            categorical_projection(*good[:place], bad, *good[place + 1 :])


# --- Categorical: targets

SUPPORT = np.array([-2.0, -1.0, 0.0, 1.0, 2.0], np.float32)
NEXT = np.array([[0.1, 0.2, 0.3, 0.2, 0.2]] * 4, np.float32)


def test_categorical_target_by_hand():
    # Rewards 0, 1 (terminated), 1, 0.5 with gamma^k of 1, 1, 1, 1/2.
    got = jax.jit(categorical_target)(
        np.array([0.0, 1.0, 1.0, 0.5], np.float32),
        np.array([False, True, False, False]),
        np.array([1.0, 1.0, 1.0, 0.5], np.float32),
        NEXT,
        SUPPORT,
    )
    expected = [
        NEXT[0],
        [0.0, 0.0, 0.0, 1.0, 0.0],
        [0.0, 0.1, 0.2, 0.3, 0.4],
        [0.0, 0.05, 0.05 + 0.2 + 0.15, 0.15 + 0.2 + 0.1, 0.1],  # -0.5, 0, 0.5, 1, 1.5
    ]
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-7)


def test_categorical_target_takes_a_scalar_discount_and_integers():
    reward, terminated = jnp.array([0, 1, 1, 0]), jnp.array([0, 1, 0, 0])
    got = categorical_target(reward, terminated, 0.5, NEXT, SUPPORT)
    want = categorical_target(reward, terminated, jnp.full(4, 0.5), NEXT, SUPPORT)
    np.testing.assert_array_equal(got, want)
    np.testing.assert_allclose(got[1], [0, 0, 0, 1, 0], atol=1e-7)


def test_the_mean_of_a_categorical_target_is_the_one_step_target(rng):
    probabilities = rng.dirichlet(np.ones(51), size=16).astype(np.float32)
    reward, discount = rng.uniform(-1, 1, 16).astype(np.float32), rng.uniform(0, 0.85, 16).astype(np.float32)
    terminated = rng.random(16) < 0.3
    got = categorical_mean(categorical_target(reward, terminated, discount, probabilities, C51), C51)
    np.testing.assert_allclose(got, reward + discount * ~terminated * (probabilities @ C51), atol=1e-5)


def test_categorical_target_does_not_broadcast():
    good = [jnp.zeros(4), jnp.zeros(4, bool), jnp.ones(4), NEXT, SUPPORT]
    bads = [jnp.zeros((4, 1)), jnp.zeros((4, 1), bool), jnp.ones((4, 1)), NEXT[:1], SUPPORT[:4]]
    for place, bad in enumerate(bads):
        with pytest.raises(AssertionError):
            categorical_target(*good[:place], bad, *good[place + 1 :])


def test_actions_are_chosen_by_the_mean_return_not_the_mean_probability():
    # Action 0 is surely worth 0, action 1 surely worth 2: all masses average to 1/5, and the mass of
    # action 0 lies nearer the first atom, where an argmax of probabilities would look.
    probabilities = jnp.array([[[0.0, 0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.1, 0.1, 0.8]]])
    np.testing.assert_allclose(probabilities.mean(axis=-1), [[0.2, 0.2]])
    assert jnp.argmax(jnp.max(probabilities, axis=-1)) == 0
    q = categorical_mean(probabilities, SUPPORT)
    np.testing.assert_allclose(q, [[0.0, 1.7]], rtol=1e-6)
    assert jnp.argmax(q) == 1


@pytest.mark.parametrize("double", [False, True])
def test_c51_is_rlaxs(rng, double):
    batch_size, num_actions = 16, 3
    logits, next_logits, selector = rng.normal(size=(3, batch_size, num_actions, 51)).astype(np.float32)
    action = rng.integers(0, num_actions, batch_size)
    reward = rng.normal(0, 3, batch_size).astype(np.float32)
    terminated = rng.random(batch_size) < 0.3
    discount = rng.choice([0.99, 0.99**3], batch_size).astype(np.float32)
    q_selector = categorical_mean(jax.nn.softmax(selector if double else next_logits), C51)

    @jax.jit
    def loss(logits, next_logits, q_selector):
        next_probabilities = select(jax.nn.softmax(next_logits), jnp.argmax(q_selector, axis=-1))
        target = categorical_target(reward, terminated, discount, next_probabilities, C51)
        return categorical_cross_entropy(select(logits, action), target)

    oracle = rlax.categorical_double_q_learning if double else rlax.categorical_q_learning
    operands = [logits, action, reward, np.where(terminated, 0, discount).astype(np.float32)]
    rest = [next_logits, q_selector] if double else [next_logits]
    axes = (None, 0, 0, 0, 0, None, 0, 0) if double else (None, 0, 0, 0, 0, None, 0)
    want = jax.vmap(oracle, axes)(C51, *operands, C51, *rest)
    np.testing.assert_allclose(loss(logits, next_logits, q_selector), want, rtol=1e-5)


# --- Categorical: losses


def test_cross_entropy_by_hand():
    # Probabilities 1/4, 3/4 and 1/2, 1/2.
    logits, target = jnp.log(jnp.array([[1.0, 3.0], [5.0, 5.0]])), jnp.array([[0.5, 0.5], [0.2, 0.8]])
    expected = [0.5 * np.log(4) + 0.5 * np.log(4 / 3), np.log(2)]
    np.testing.assert_allclose(jax.jit(categorical_cross_entropy)(logits, target), expected, rtol=1e-6)


def test_cross_entropy_is_rlaxs(rng):
    logits, target = rng.normal(0, 4, (8, 51)).astype(np.float32), rng.dirichlet(np.ones(51), 8).astype(np.float32)
    want = jax.vmap(rlax.categorical_cross_entropy)(target, logits)
    np.testing.assert_allclose(categorical_cross_entropy(logits, target), want, rtol=1e-5)


def test_cross_entropy_is_finite_far_from_the_target():
    got = categorical_cross_entropy(jnp.array([[1e4, 0.0]]), jnp.array([[0.0, 1.0]]))
    np.testing.assert_allclose(got, [1e4])


@pytest.mark.parametrize("loss", [categorical_cross_entropy, categorical_kl])
def test_the_gradient_is_the_difference_of_the_distributions(rng, loss):
    logits, target = rng.normal(size=(8, 11)).astype(np.float32), rng.dirichlet(np.ones(11), 8).astype(np.float32)
    gradient = jax.grad(lambda x: jnp.sum(loss(x, target)))(logits)
    np.testing.assert_allclose(gradient, jax.nn.softmax(logits) - target, atol=1e-6)


def test_kl_is_the_definition(rng):
    logits, target = rng.normal(size=(8, 11)).astype(np.float32), rng.dirichlet(np.ones(11), 8)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    want = (target * np.log(target / p)).sum(axis=1)
    np.testing.assert_allclose(jax.jit(categorical_kl)(logits, target.astype(np.float32)), want, rtol=1e-5)


def test_kl_is_zero_where_the_two_agree_and_never_negative(rng):
    logits = rng.normal(size=(256, 51)).astype(np.float32)
    got = categorical_kl(logits, jax.nn.softmax(logits))
    assert np.all(got >= 0)
    np.testing.assert_allclose(got, 0, atol=2e-6)
    # A target with zeros: KL((1, 0) || (1/2, 1/2)) = log 2.
    np.testing.assert_allclose(categorical_kl(jnp.zeros((1, 2)), jnp.array([[1.0, 0.0]])), np.log(2), rtol=1e-6)


@pytest.mark.parametrize("loss", [categorical_cross_entropy, categorical_kl])
def test_categorical_losses_do_not_broadcast(loss):
    for bad in (jnp.zeros((1, 3)), jnp.zeros((4, 1)), jnp.zeros(3)):
        with pytest.raises(AssertionError):
            loss(jnp.zeros((4, 3)), bad)


# --- Quantiles

quantile_loss = jax.jit(quantile_huber)


def _quantile_huber_by_loops(quantiles, target, taus, kappa):
    """Equations 9 and 10 of QR-DQN, divided by kappa."""
    loss = np.zeros(len(quantiles))
    for b in range(len(quantiles)):
        for i, quantile in enumerate(quantiles[b]):
            for value in target[b]:
                u = float(value) - float(quantile)
                if kappa == 0:
                    size = abs(u)
                elif abs(u) <= kappa:
                    size = 0.5 * u**2 / kappa
                else:
                    size = abs(u) - 0.5 * kappa
                tau = taus[i] if taus.ndim == 1 else taus[b, i]
                loss[b] += abs(tau - (u < 0)) * size / target.shape[1]
    return loss


def _quantile_batch(rng, n=5, m=7, batch_size=6):
    quantiles, target = rng.normal(0, 2, (batch_size, n)), rng.normal(0, 2, (batch_size, m))
    return quantiles.astype(np.float32), target.astype(np.float32)


def test_midpoint_taus():
    np.testing.assert_allclose(midpoint_taus(1), [0.5])
    np.testing.assert_allclose(midpoint_taus(4), [0.125, 0.375, 0.625, 0.875])
    assert midpoint_taus(4).dtype == jnp.float32


@pytest.mark.parametrize("jit", [True, False])
def test_quantile_huber_by_hand(jit):
    # Predictions 0 and 1 at tau = 1/4 and 3/4, targets 2, 0.5 and -1. With kappa = 1:
    # i = 1: u = 2, 0.5, -1: 1.5 / 4, 0.125 / 4, 0.5 * 3 / 4; i = 2: u = 1, -0.5, -2: 0.5 * 3 / 4, 0.125 / 4, 1.5 / 4.
    loss = quantile_loss if jit else quantile_huber
    quantiles, target = jnp.array([[0.0, 1.0]]), jnp.array([[2.0, 0.5, -1.0]])
    expected = (1.5 / 4 + 0.125 / 4 + 0.375) / 3 + (0.375 + 0.125 / 4 + 1.5 / 4) / 3
    np.testing.assert_allclose(loss(quantiles, target, midpoint_taus(2), 1.0), [expected], rtol=1e-6)
    # Plain quantile regression: 2 / 4, 0.5 / 4, 3 / 4 and 3 / 4, 0.5 / 4, 2 / 4.
    np.testing.assert_allclose(loss(quantiles, target, midpoint_taus(2), 0.0), [2 * 1.375 / 3], rtol=1e-6)


@pytest.mark.parametrize("kappa", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("sampled", [False, True], ids=["fixed taus", "sampled taus"])
@pytest.mark.parametrize(("n", "m"), [(5, 7), (7, 5), (1, 4), (4, 1), (6, 6)])
def test_quantile_huber_is_the_loop(rng, n, m, sampled, kappa):
    quantiles, target = _quantile_batch(rng, n, m)
    taus = rng.random((6, n)).astype(np.float32) if sampled else np.asarray(midpoint_taus(n))
    got = quantile_loss(quantiles, target, taus, kappa)
    np.testing.assert_allclose(got, _quantile_huber_by_loops(quantiles, target, taus, kappa), rtol=1e-5)


@pytest.mark.parametrize("kappa", [0.0, 1.0, 2.0])
def test_quantile_huber_is_rlaxs_divided_by_kappa(rng, kappa):
    quantiles, target = _quantile_batch(rng)
    taus = rng.random((6, 5)).astype(np.float32)
    oracle = lambda q, tau, t: rlax.quantile_regression_loss(q, tau, t, kappa)
    want = jax.vmap(oracle)(quantiles, taus, target) / (kappa or 1.0)
    np.testing.assert_allclose(quantile_loss(quantiles, target, taus, kappa), want, rtol=1e-5)
    gradient = jax.grad(lambda q: jnp.sum(quantile_loss(q, target, taus, kappa)))(quantiles)
    want = jax.grad(lambda q: jnp.sum(jax.vmap(oracle)(q, taus, target)))(quantiles) / (kappa or 1.0)
    np.testing.assert_allclose(gradient, want, rtol=1e-5, atol=1e-6)


def test_the_loss_is_summed_over_predictions_and_averaged_over_targets(rng):
    quantiles, target = _quantile_batch(rng)
    taus = midpoint_taus(5)
    once = quantile_loss(quantiles, target, taus, 1.0)
    np.testing.assert_allclose(quantile_loss(quantiles, np.tile(target, 3), taus, 1.0), once, rtol=1e-5)
    twice = quantile_loss(np.tile(quantiles, 2), target, np.tile(taus, 2), 1.0)
    np.testing.assert_allclose(twice, 2 * once, rtol=1e-5)


def test_the_gradient_of_quantile_regression_vanishes_at_the_quantile(rng):
    """``d loss / d quantile_i`` is the share of targets below it less ``tau_i``: with the axes or the sign
    swapped it would be another's."""
    quantiles, target = _quantile_batch(rng, n=4, m=50)
    taus = np.array([0.1, 0.3, 0.6, 0.9], np.float32)
    gradient = jax.grad(lambda q: jnp.sum(quantile_huber(q, target, taus, 0.0)))(quantiles)
    share = (target[:, None, :] < quantiles[:, :, None]).mean(axis=2)
    np.testing.assert_allclose(gradient, share - taus, atol=1e-5)
    # The loss pulls each prediction to the empirical quantile: too low there is no better than too high.
    best = np.quantile(target, taus, axis=1).T.astype(np.float32)
    at_best = quantile_huber(best, target, taus, 0.0)
    assert np.all(at_best < quantile_huber(best - 0.5, target, taus, 0.0))
    assert np.all(at_best < quantile_huber(best + 0.5, target, taus, 0.0))


def test_a_small_kappa_tends_to_quantile_regression(rng):
    quantiles, target = _quantile_batch(rng)
    kappas = jnp.array([0.0, 1e-4, 1e-2])
    got = jax.jit(jax.vmap(lambda kappa: quantile_huber(quantiles, target, midpoint_taus(5), kappa)))(kappas)
    np.testing.assert_allclose(got[1], got[0], atol=1e-3)
    np.testing.assert_allclose(got[2], got[0], atol=5e-2)


@pytest.mark.parametrize("kappa", [0.0, 1.0])
def test_the_gradient_at_zero_error_is_zero(kappa):
    loss = lambda q: jnp.sum(quantile_loss(q, jnp.ones((1, 3)), midpoint_taus(2), kappa))
    np.testing.assert_array_equal(jax.grad(loss)(jnp.ones((1, 2))), np.zeros((1, 2)))


def test_the_gradient_is_the_weighted_clipped_error(rng):
    quantiles, target = _quantile_batch(rng)
    taus = midpoint_taus(5)
    by_quantile, by_target = jax.grad(lambda q, t: jnp.sum(quantile_loss(q, t, taus, 0.5)), (0, 1))(quantiles, target)
    u = target[:, None, :] - quantiles[:, :, None]
    slope = np.abs(np.asarray(taus)[:, None] - (u < 0)) * np.clip(u, -0.5, 0.5) / 0.5
    np.testing.assert_allclose(by_quantile, -slope.mean(axis=2), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(by_target, slope.sum(axis=1) / 7, rtol=1e-5, atol=1e-6)


def test_qr_dqn_is_rlaxs(rng):
    """Quantiles are ``[B, A, N]`` here and ``[N, A]`` in rlax."""
    quantiles, next_quantiles = rng.normal(size=(2, 8, 3, 5)).astype(np.float32)
    action, reward = rng.integers(0, 3, 8), rng.normal(size=8).astype(np.float32)
    discount = np.where(rng.random(8) < 0.3, 0, 0.97).astype(np.float32)
    next_action = jnp.argmax(jnp.mean(next_quantiles, axis=-1), axis=-1)
    target = reward[:, None] + discount[:, None] * select(jnp.asarray(next_quantiles), next_action)
    got = quantile_loss(select(jnp.asarray(quantiles), jnp.asarray(action)), target, midpoint_taus(5), 1.0)
    taus_first = lambda x: np.swapaxes(x, 1, 2)
    want = jax.vmap(
        lambda q, a, r, d, nq: rlax.quantile_q_learning(q, midpoint_taus(5), a, r, d, nq, nq, huber_param=1.0)
    )(taus_first(quantiles), action, reward, discount, taus_first(next_quantiles))
    np.testing.assert_allclose(got, want, rtol=1e-5)


def test_quantile_huber_does_not_broadcast():
    quantiles, target, taus = jnp.zeros((4, 3)), jnp.zeros((4, 5)), midpoint_taus(3)
    for bad in (jnp.zeros((4, 3, 1)), jnp.zeros(3), jnp.zeros((1, 3))):
        with pytest.raises(AssertionError):
            quantile_huber(bad, target, taus)
    for bad in (jnp.zeros((1, 5)), jnp.zeros(5)):
        with pytest.raises(AssertionError):
            quantile_huber(quantiles, bad, taus)
    for bad in (midpoint_taus(5), midpoint_taus(1), taus[:, None], jnp.zeros((4, 1)), jnp.zeros((1, 3)), jnp.zeros(())):
        with pytest.raises(AssertionError):
            quantile_huber(quantiles, target, bad)
