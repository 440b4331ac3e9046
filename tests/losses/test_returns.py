import jax
import jax.numpy as jnp
import numpy as np
import pytest
import rlax

from jaxrl.losses.returns import (
    generalized_advantage_estimation,
    lambda_returns,
    linear_recurrence,
    n_step_return,
)

gae = jax.jit(generalized_advantage_estimation)


def _recurrence_loop(decay, increment):
    x = np.zeros_like(increment)
    following = np.zeros_like(increment[0])
    for t in reversed(range(len(increment))):
        following = increment[t] + decay[t] * following
        x[t] = following
    return x


def _gae_by_definition(reward, value, next_value, terminated, truncated, discount, gae_lambda):
    """Equation 16 of the paper, a sum of TD errors from each step to the end of its own episode."""
    steps, envs = reward.shape
    advantage = np.zeros((steps, envs))
    for b in range(envs):
        for t in range(steps):
            for i in range(t, steps):
                bootstrap = 0.0 if terminated[i, b] else next_value[i, b]
                advantage[t, b] += (discount * gae_lambda) ** (i - t) * (
                    reward[i, b] + discount * bootstrap - value[i, b]
                )
                if terminated[i, b] or truncated[i, b]:
                    break
    return advantage


@pytest.mark.parametrize("shape", [(1,), (7,), (16, 3), (9, 2, 4)])
def test_linear_recurrence_is_the_loop(rng, shape):
    decay, increment = rng.normal(size=(2, *shape)).astype(np.float32)
    got = jax.jit(linear_recurrence)(decay, increment)
    np.testing.assert_allclose(got, _recurrence_loop(decay, increment), rtol=1e-5, atol=1e-6)


def test_linear_recurrence_along_another_axis(rng):
    decay, increment = rng.normal(size=(2, 3, 11)).astype(np.float32)
    got = jax.jit(linear_recurrence, static_argnames="axis")(decay, increment, axis=1)
    np.testing.assert_allclose(got, _recurrence_loop(decay.T, increment.T).T, rtol=1e-5, atol=1e-6)


# Rewards 1, 2, 3; values 0.5, 1, 1.5; successors' values 1, 1.5, 2; gamma = lambda = 1/2. The TD errors are
# 1 + 0.5 - 0.5 = 1, 2 + 0.75 - 1 = 1.75 and 3 + 1 - 1.5 = 2.5; without its bootstrap the second is 2 - 1 = 1.
@pytest.mark.parametrize(
    ("terminated", "truncated", "expected"),
    [
        ([0, 0, 0], [0, 0, 0], [1 + 0.25 * 2.375, 1.75 + 0.25 * 2.5, 2.5]),
        ([0, 1, 0], [0, 0, 0], [1 + 0.25 * 1.0, 1.0, 2.5]),
        ([0, 0, 0], [0, 1, 0], [1 + 0.25 * 1.75, 1.75, 2.5]),
        ([0, 1, 0], [0, 1, 0], [1 + 0.25 * 1.0, 1.0, 2.5]),
        ([0, 0, 1], [0, 0, 0], [1 + 0.25 * 2.125, 1.75 + 0.25 * 1.5, 1.5]),
    ],
    ids=["goes on", "terminated", "truncated", "both", "terminated last"],
)
def test_gae_by_hand(terminated, truncated, expected):
    reward, value, next_value = np.array([[1, 2, 3], [0.5, 1.0, 1.5], [1.0, 1.5, 2.0]], np.float32)
    got = gae(reward, value, next_value, np.array(terminated, bool), np.array(truncated, bool), 0.5, 0.5)
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    assert got.dtype == jnp.float32


def _random_rollout(rng, shape=(25, 6)):
    reward, value, next_value = rng.normal(size=(3, *shape)).astype(np.float32)
    return reward, value, next_value, rng.random(shape) < 0.15, rng.random(shape) < 0.15


def test_gae_is_the_definition(rng):
    rollout = _random_rollout(rng)
    got = gae(*rollout, 0.97, 0.9)
    np.testing.assert_allclose(got, _gae_by_definition(*rollout, 0.97, 0.9), rtol=1e-4, atol=1e-5)


def test_gae_accepts_integers_and_numbers_for_booleans(rng):
    reward, value, next_value, terminated, truncated = _random_rollout(rng)
    reward = np.round(reward).astype(np.int32)
    got = gae(reward, value, next_value, terminated.astype(np.float32), truncated.astype(np.int32), 0.9, 0.8)
    want = _gae_by_definition(reward, value, next_value, terminated, truncated, 0.9, 0.8)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


def test_gae_with_lambda_zero_is_the_td_error(rng):
    reward, value, next_value, terminated, truncated = _random_rollout(rng)
    got = gae(reward, value, next_value, terminated, truncated, 0.9, 0.0)
    np.testing.assert_allclose(got, reward + 0.9 * np.where(terminated, 0, next_value) - value, rtol=1e-5, atol=1e-6)


def test_gae_with_lambda_one_makes_monte_carlo_returns():
    # Three rewards of 1 and a termination: 1 + 0.5 + 0.25, whatever the critic thinks on the way.
    value, next_value = np.array([7, -3, 11], np.float32), np.array([-3, 11, 99], np.float32)
    ends = np.array([False, False, True]), np.zeros(3, bool)
    got = gae(np.ones(3, np.float32), value, next_value, *ends, 0.5, 1.0)
    np.testing.assert_allclose(got + value, [1.75, 1.5, 1.0], rtol=1e-5)


@pytest.mark.parametrize("end", ["terminated", "truncated"])
def test_nothing_leaks_from_the_next_episode(rng, end):
    reward, value, next_value, _, _ = _random_rollout(rng)
    ends = {"terminated": np.zeros((25, 6), bool), "truncated": np.zeros((25, 6), bool)}
    ends[end][3] = True
    before = gae(reward, value, next_value, **ends, discount=0.99, gae_lambda=0.95)
    after = gae(
        *(np.concatenate([x[:4], 1e6 + x[4:]]) for x in (reward, value, next_value)),
        **ends,
        discount=0.99,
        gae_lambda=0.95,
    )
    np.testing.assert_array_equal(before[:4], after[:4])
    assert not np.any(before[4:] == after[4:])


def test_the_value_beyond_a_termination_is_never_read():
    one, zero = np.ones(3, np.float32), np.zeros(3, np.float32)
    got = gae(
        one, zero, np.array([0, 0, np.nan], np.float32), np.array([False, False, True]), np.zeros(3, bool), 0.5, 1.0
    )
    np.testing.assert_allclose(got, [1.75, 1.5, 1.0])


def test_gae_vmaps_over_its_hyperparameters(rng):
    rollout = _random_rollout(rng)
    discounts, lambdas = jnp.array([0.5, 0.99]), jnp.array([0.0, 0.95])
    got = jax.jit(jax.vmap(lambda g, lam: gae(*rollout, g, lam)))(discounts, lambdas)
    for i in range(2):
        want = _gae_by_definition(*rollout, float(discounts[i]), float(lambdas[i]))
        np.testing.assert_allclose(got[i], want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("field", range(5))
def test_gae_does_not_broadcast(rng, field):
    rollout = list(_random_rollout(rng, (3, 3)))
    rollout[field] = rollout[field][..., None]
    with pytest.raises(AssertionError):
        gae(*rollout, 0.9, 0.9)


# --- Lambda-returns

returns = jax.jit(lambda_returns)


def _lambda_returns_by_definition(reward, next_value, terminated, truncated, discount, lambda_):
    """Equation 12.3 of Sutton & Barto: the n-step returns to the episode's end, weighted by powers of lambda."""
    steps, envs = reward.shape
    target = np.zeros((steps, envs))
    for b in range(envs):
        for t in range(steps):
            total, weight = 0.0, 1.0
            for i in range(t, steps):
                total += discount ** (i - t) * reward[i, b]
                bootstrap = 0.0 if terminated[i, b] else discount ** (i - t + 1) * next_value[i, b]
                if terminated[i, b] or truncated[i, b] or i == steps - 1:
                    target[t, b] += weight * (total + bootstrap)
                    break
                target[t, b] += weight * (1 - lambda_) * (total + bootstrap)
                weight *= lambda_
    return target


# Rewards 1, 2, 3; successors' values 4, 8, 16; gamma = lambda = 1/2. The last step alone is 3 + 8 = 11; the
# one before 2 + 2 + 11/4 = 6.75, and 2 + 4 = 6 where it is truncated, 2 where it is terminated; the first adds
# 1 + 1 to a quarter of that.
@pytest.mark.parametrize(
    ("terminated", "truncated", "expected"),
    [
        ([0, 0, 0], [0, 0, 0], [2 + 6.75 / 4, 6.75, 11.0]),
        ([0, 1, 0], [0, 0, 0], [2.5, 2.0, 11.0]),
        ([0, 0, 0], [0, 1, 0], [3.5, 6.0, 11.0]),
        ([0, 1, 0], [0, 1, 0], [2.5, 2.0, 11.0]),
        ([0, 0, 1], [0, 0, 0], [2 + 4.75 / 4, 4.75, 3.0]),
        ([0, 0, 0], [0, 0, 1], [2 + 6.75 / 4, 6.75, 11.0]),
    ],
    ids=["goes on", "terminated", "truncated", "both", "terminated last", "truncated last"],
)
@pytest.mark.parametrize("jit", [True, False])
def test_lambda_returns_by_hand(terminated, truncated, expected, jit):
    reward, next_value = np.array([[1, 2, 3], [4, 8, 16]], np.float32)
    ends = np.array(terminated, bool), np.array(truncated, bool)
    got = (returns if jit else lambda_returns)(reward, next_value, *ends, 0.5, 0.5)
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    assert got.dtype == jnp.float32


@pytest.mark.parametrize("lambda_", [0.0, 0.65, 1.0])
def test_lambda_returns_are_the_definition(rng, lambda_):
    reward, _, next_value, terminated, truncated = _random_rollout(rng)
    got = returns(reward, next_value, terminated, truncated, 0.97, lambda_)
    want = _lambda_returns_by_definition(reward, next_value, terminated, truncated, 0.97, lambda_)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


def test_lambda_returns_are_rlaxs(rng):
    """rlax knows terminations only, as discounts of zero."""
    reward, _, next_value, terminated, _ = _random_rollout(rng)
    got = returns(reward, next_value, terminated, np.zeros_like(terminated), 0.97, 0.9)
    oracle = jax.vmap(lambda r, d, v: rlax.lambda_returns(r, d, v, 0.9), in_axes=1, out_axes=1)
    want = oracle(reward, np.where(terminated, 0, 0.97).astype(np.float32), next_value)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


def test_lambda_returns_less_the_value_are_gae(rng):
    reward, value, next_value, terminated, truncated = _random_rollout(rng)
    # Where the episode goes on, the successor's value is that of the next observation.
    next_value[:-1] = np.where((terminated | truncated)[:-1], next_value[:-1], value[1:])
    target = returns(reward, next_value, terminated, truncated, 0.97, 0.9)
    advantage = gae(reward, value, next_value, terminated, truncated, 0.97, 0.9)
    np.testing.assert_allclose(target - value, advantage, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("end", ["terminated", "truncated"])
def test_lambda_returns_do_not_leak_from_the_next_episode(rng, end):
    reward, _, next_value, _, _ = _random_rollout(rng)
    ends = {"terminated": np.zeros((25, 6), bool), "truncated": np.zeros((25, 6), bool)}
    ends[end][3] = True
    target = lambda r, v: returns(r, v, **ends, discount=0.99, lambda_=0.95)
    later = lambda x: np.concatenate([x[:4], 1e6 + x[4:]])
    before, after = target(reward, next_value), target(later(reward), later(next_value))
    np.testing.assert_array_equal(before[:4], after[:4])
    assert not np.any(before[4:] == after[4:])


def test_lambda_returns_do_not_read_the_value_beyond_a_termination():
    next_value = np.array([1, np.nan, 1], np.float32)
    got = returns(np.ones(3, np.float32), next_value, np.array([0, 1, 0], bool), np.zeros(3, bool), 0.5, 1.0)
    np.testing.assert_allclose(got, [1.5, 1.0, 1.5])


def test_lambda_returns_vmap_over_their_hyperparameters(rng):
    reward, _, *rollout = _random_rollout(rng)
    discounts, lambdas = jnp.array([0.5, 0.99]), jnp.array([0.0, 0.95])
    got = jax.jit(jax.vmap(lambda g, lam: lambda_returns(reward, *rollout, g, lam)))(discounts, lambdas)
    for i in range(2):
        want = _lambda_returns_by_definition(reward, *rollout, float(discounts[i]), float(lambdas[i]))
        np.testing.assert_allclose(got[i], want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("field", range(6))
def test_lambda_returns_do_not_broadcast(rng, field):
    reward, _, *rollout = _random_rollout(rng, (3, 3))
    operands = [reward, *rollout, np.full((3, 3), 0.9), np.full((3, 3), 0.9)]
    operands[field] = operands[field][..., None]
    with pytest.raises(AssertionError):
        lambda_returns(*operands)


# --- n-step returns

n_step = jax.jit(n_step_return)


def _n_step_by_loop(reward, terminated, truncated, discount, length):
    got = []
    for r, term, trunc, available in zip(reward, terminated, truncated, length, strict=True):
        total, i = 0.0, 0
        while True:
            total += discount**i * float(r[i])
            if term[i] or trunc[i] or i + 1 == available:
                break
            i += 1
        got.append((total, term[i], discount ** (i + 1), i))
    return [np.array(column) for column in zip(*got, strict=True)]


def _assert_n_step(got, want):
    for x, y in zip(got, want, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6)
    assert [x.dtype for x in got] == [jnp.float32, jnp.bool_, jnp.float32, jnp.int32]


@pytest.mark.parametrize("jit", [True, False])
def test_n_step_return_by_hand(jit):
    # Rewards 1, 2, 4 at gamma = 1/2: 1, 2 and 3 after one, two and three steps.
    ends = [  # terminated, truncated, steps there are; the return, whether terminated, gamma^k, k - 1
        ([0, 0, 0], [0, 0, 0], 3, (3.0, False, 0.125, 2)),
        ([0, 0, 1], [0, 0, 0], 3, (3.0, True, 0.125, 2)),
        ([0, 1, 0], [0, 0, 0], 3, (2.0, True, 0.25, 1)),
        ([0, 0, 0], [0, 1, 0], 3, (2.0, False, 0.25, 1)),
        ([0, 1, 0], [0, 1, 0], 3, (2.0, True, 0.25, 1)),
        ([0, 0, 1], [1, 0, 0], 3, (1.0, False, 0.5, 0)),
        ([1, 0, 0], [0, 0, 0], 3, (1.0, True, 0.5, 0)),
        ([0, 0, 1], [0, 0, 0], 2, (2.0, False, 0.25, 1)),
        ([0, 0, 0], [0, 0, 0], 1, (1.0, False, 0.5, 0)),
        ([0, 1, 0], [0, 0, 0], 2, (2.0, True, 0.25, 1)),
    ]
    terminated, truncated, length, expected = (np.array(x) for x in zip(*ends, strict=True))
    reward = np.broadcast_to(np.array([1, 2, 4], np.float32), (len(ends), 3))
    got = (n_step if jit else n_step_return)(reward, terminated, truncated, 0.5, length)
    _assert_n_step(got, expected.T)


@pytest.mark.parametrize("n", [1, 2, 3, 10])
@pytest.mark.parametrize("limited", [False, True])
def test_n_step_return_is_the_loop(rng, n, limited):
    reward = rng.normal(size=(64, n)).astype(np.float32)
    terminated, truncated = rng.random((2, 64, n)) < 0.15
    length = rng.integers(1, n + 1, 64) if limited else None
    got = n_step(reward, terminated, truncated, 0.97, length)
    available = length if limited else np.full(64, n)
    _assert_n_step(got, _n_step_by_loop(reward, terminated, truncated, 0.97, available))


def test_n_step_targets_are_rlaxs(rng):
    """rlax knows terminations only, as discounts of zero; its first row is the window's target."""
    reward, next_value = rng.normal(size=(2, 32, 5)).astype(np.float32)
    terminated = rng.random((32, 5)) < 0.15
    got = n_step(reward, terminated, np.zeros_like(terminated), 0.9)
    target = got.reward + got.discount * np.where(got.terminated, 0, next_value[np.arange(32), got.last])
    discounts = np.where(terminated, 0, 0.9).astype(np.float32)
    want = jax.vmap(lambda r, d, v: rlax.n_step_bootstrapped_returns(r, d, v, 5))(reward, discounts, next_value)
    np.testing.assert_allclose(target, want[:, 0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("n", [1, 3, 5])
def test_the_value_of_a_constant_reward_is_a_fixed_point(n):
    """``V = 1 / (1 - gamma)`` for rewards of 1 only if ``gamma^k``, not gamma, multiplies the bootstrap."""
    value = 1 / (1 - 0.9)
    zeros = np.zeros((n, n), bool)
    got = n_step(np.ones((n, n), np.float32), zeros, zeros, 0.9, np.arange(1, n + 1))
    np.testing.assert_allclose(got.reward + got.discount * value, np.full(n, value), rtol=1e-5)
    # And through a truncation, which is no failure.
    got = n_step(np.ones((n, n), np.float32), zeros, np.eye(n, dtype=bool), 0.9)
    np.testing.assert_array_equal(got.last, np.arange(n))
    np.testing.assert_allclose(got.reward + got.discount * value, np.full(n, value), rtol=1e-5)


def test_one_step_is_the_step_itself(rng):
    reward = rng.normal(size=(16, 1)).astype(np.float32)
    terminated, truncated = rng.random((2, 16, 1)) < 0.5
    got = n_step(reward, terminated, truncated, 0.99)
    np.testing.assert_array_equal(got.reward, reward[:, 0])
    np.testing.assert_array_equal(got.terminated, terminated[:, 0])
    np.testing.assert_array_equal(got.discount, np.full(16, 0.99, np.float32))
    np.testing.assert_array_equal(got.last, np.zeros(16))


def test_what_a_window_holds_after_its_end_is_not_read():
    reward = np.array([[1.0, 2.0, np.nan], [1.0, np.inf, np.nan]], np.float32)
    got = n_step(reward, np.array([[0, 1, 1], [0, 1, 1]]), np.zeros((2, 3)), 0.5, np.array([3, 1]))
    _assert_n_step(got, [[2.0, 1.0], [True, False], [0.25, 0.5], [1, 0]])


def test_n_step_return_accepts_integers_and_a_length_beyond_its_range():
    reward, ends = np.array([[1, 2, 4]] * 2, np.int8), np.zeros((2, 3), np.uint8)
    _assert_n_step(n_step(reward, ends, ends, 0.5, np.array([0, 9])), [[1, 3], [0, 0], [0.5, 0.125], [0, 2]])


def test_n_step_return_takes_a_discount_for_each_window_and_zero():
    reward, ends = np.ones((3, 3), np.float32), np.zeros((3, 3), bool)
    got = n_step(reward, ends, ends, np.array([0.0, 0.5, 1.0], np.float32))
    _assert_n_step(got, [[1.0, 1.75, 3.0], [0, 0, 0], [0.0, 0.125, 1.0], [2, 2, 2]])


def test_n_step_return_does_not_broadcast():
    good = [jnp.zeros((3, 3)), jnp.zeros((3, 3), bool), jnp.zeros((3, 3), bool), jnp.full(3, 0.9), jnp.ones(3, int)]
    bads = [jnp.zeros(3), jnp.zeros((3, 1)), jnp.zeros((1, 3)), jnp.full((3, 1), 0.9), jnp.ones((3, 1), int)]
    for place, bad in enumerate(bads):
        with pytest.raises(AssertionError):
            n_step_return(*good[:place], bad, *good[place + 1 :])
