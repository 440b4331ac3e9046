import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.losses.returns import generalized_advantage_estimation, linear_recurrence

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
