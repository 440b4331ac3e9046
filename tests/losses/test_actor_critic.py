import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.losses.actor_critic import (
    entropy_regularized_target,
    minimum_of_subset,
    temperature_loss,
    truncated_quantiles,
)

REWARD = jnp.array([1.0, 2.0, 3.0])
TERMINATED = jnp.array([False, True, False])


def test_the_twin_minimum_is_of_each_row(key):
    values = jnp.array([[1.0, 5.0, -1.0], [2.0, 4.0, -3.0]])
    np.testing.assert_array_equal(minimum_of_subset(key, values, 2), [1.0, 4.0, -3.0])


def test_the_minimum_of_a_subset_is_that_of_one_pair_for_the_whole_batch(rng):
    values = rng.normal(size=(5, 6)).astype(np.float32)
    pairs = {(i, j): np.minimum(values[i], values[j]) for i in range(5) for j in range(i)}
    seen = set()
    for seed in range(200):
        got = np.asarray(minimum_of_subset(jax.random.key(seed), values, 2))
        matches = [pair for pair, minimum in pairs.items() if np.array_equal(got, minimum)]
        assert matches
        seen.update(matches if len(matches) == 1 else ())
    assert len(seen) == 10


def test_the_minimum_keeps_what_lies_behind_the_batch(key):
    values = jnp.arange(12.0).reshape(2, 3, 2)
    np.testing.assert_array_equal(minimum_of_subset(key, values, 2), values[0])


@pytest.mark.parametrize("drop", [0, 1, 2])
def test_truncation_leaves_out_the_largest_of_the_mixture(rng, drop):
    quantiles = rng.normal(size=(3, 4, 5)).astype(np.float32)
    got = jax.jit(truncated_quantiles, static_argnums=1)(quantiles, drop)
    for b in range(4):
        np.testing.assert_array_equal(got[b], sorted(quantiles[:, b].ravel())[: 3 * (5 - drop)])


def test_truncation_may_take_all_from_one_critic():
    quantiles = jnp.array([[[1.0, 2.0]], [[10.0, 20.0]]])
    np.testing.assert_array_equal(truncated_quantiles(quantiles, 1), [[1.0, 2.0]])


def test_target_by_hand():
    # 1 + 0.9 (10 - 0.5 * 2); terminated: the reward alone, whatever the entropy.
    next_value, log_prob = jnp.array([10.0, 10.0, 20.0]), jnp.array([2.0, 2.0, -4.0])
    got = jax.jit(entropy_regularized_target)(REWARD, TERMINATED, next_value, 0.9, log_prob, 0.5)
    np.testing.assert_allclose(got, [1 + 0.9 * 9, 2.0, 3 + 0.9 * 22], rtol=1e-6)


def test_target_without_entropy_and_with_several_steps():
    discount = jnp.array([0.9, 0.9, 0.81])
    got = entropy_regularized_target(REWARD, TERMINATED, jnp.full(3, 10.0), discount)
    np.testing.assert_allclose(got, [10.0, 2.0, 11.1], rtol=1e-6)


def test_target_of_quantiles_moves_each_alike():
    next_value = jnp.array([[0.0, 1.0], [5.0, 6.0], [2.0, 4.0]])
    got = entropy_regularized_target(REWARD, TERMINATED, next_value, 0.5, jnp.array([-2.0, 3.0, 4.0]), 0.5)
    # 1 + 0.5 (z + 1); 2; 3 + 0.5 (z - 2).
    np.testing.assert_allclose(got, [[1.5, 2.0], [2.0, 2.0], [3.0, 4.0]])


def test_a_column_of_values_is_refused():
    with pytest.raises(AssertionError):
        entropy_regularized_target(REWARD, TERMINATED[:, None], jnp.zeros((3,)), 0.9)
    with pytest.raises(AssertionError):
        entropy_regularized_target(REWARD, TERMINATED, jnp.zeros((4,)), 0.9)


def test_the_temperature_rises_where_the_entropy_is_too_low():
    # The entropy -log_prob is 1; the gradient in log alpha is -alpha (log_prob + H).
    gradient = jax.grad(lambda log_alpha, target: jnp.mean(temperature_loss(log_alpha, jnp.full(4, -1.0), target)))
    np.testing.assert_allclose(gradient(jnp.log(0.5), 3.0), -0.5 * 2.0)
    np.testing.assert_allclose(gradient(jnp.log(0.5), 1.0), 0.0)
    np.testing.assert_allclose(gradient(jnp.log(0.5), -1.0), 0.5 * 2.0)
