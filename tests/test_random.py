import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxrl.random import LARGEST_PACKED, minibatch_indices, permutation, uniform_action


@pytest.mark.parametrize("n", [1, 2, 7, 8, LARGEST_PACKED, LARGEST_PACKED + 1])
def test_a_permutation_holds_every_index_once(key, n):
    got = np.asarray(jax.jit(permutation, static_argnums=1)(key, n))
    assert got.dtype == np.int32
    np.testing.assert_array_equal(np.sort(got), np.arange(n))


def test_every_order_of_a_few_is_as_likely(key):
    orders = np.asarray(jax.jit(jax.vmap(lambda key: permutation(key, 3)))(jax.random.split(key, 6000)))
    _, counts = np.unique(orders, axis=0, return_counts=True)
    assert len(counts) == 6 and stats.chisquare(counts).pvalue > 1e-3


def test_every_epoch_has_an_order_of_its_own_and_uses_every_item_once(key):
    got = np.asarray(jax.jit(minibatch_indices, static_argnums=(1, 2, 3))(key, 12, 5, 3))
    assert got.shape == (15, 4)
    epochs = got.reshape(5, 12)
    np.testing.assert_array_equal(np.sort(epochs, axis=1), np.tile(np.arange(12), (5, 1)))
    assert len({tuple(order) for order in epochs.tolist()}) == 5


def test_random_actions_are_uniform_over_the_allowed_ones(key):
    allowed = jnp.array([[True, False, True], [False, False, True], [True, True, True]])
    rows = np.asarray(jax.jit(uniform_action, static_argnums=1)(key, (9000, 3), jnp.tile(allowed, (3000, 1))))
    for row, choices in enumerate(([0, 2], [2], [0, 1, 2])):
        values, counts = np.unique(rows[row::3], return_counts=True)
        assert values.tolist() == choices and (len(counts) == 1 or stats.chisquare(counts).pvalue > 1e-3)
    free = np.asarray(uniform_action(key, (3000, 3)))
    assert free.dtype == np.int32 and stats.chisquare(np.bincount(free, minlength=3)).pvalue > 1e-3
