import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.losses.value import clipped_value_loss, huber, one_step_target, q_learning_target, select

ERROR = jnp.array([-3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0])


@pytest.mark.parametrize(
    ("delta", "expected"),
    [
        (1.0, [2.5, 0.5, 0.125, 0.0, 0.125, 0.5, 1.5]),
        (2.0, [4.0, 0.5, 0.125, 0.0, 0.125, 0.5, 2.0]),
        (0.5, [1.375, 0.375, 0.125, 0.0, 0.125, 0.375, 0.875]),
    ],
)
def test_huber_by_hand(delta, expected):
    np.testing.assert_allclose(jax.jit(huber)(ERROR, delta), expected, rtol=1e-6)


@pytest.mark.parametrize("delta", [0.5, 1.0, 2.0])
def test_hubers_gradient_is_the_clipped_error(delta):
    gradient = jax.vmap(jax.grad(huber), (0, None))(ERROR, delta)
    np.testing.assert_allclose(gradient, np.clip(ERROR, -delta, delta), rtol=1e-6)


@pytest.mark.parametrize("dtype", [jnp.int32, jnp.uint8, jnp.int8])
def test_select_takes_each_rows_own_action(dtype):
    values = jnp.arange(12.0).reshape(4, 3)
    np.testing.assert_array_equal(select(values, jnp.array([2, 0, 1, 1], dtype)), [2.0, 3.0, 7.0, 10.0])


def test_select_does_not_broadcast():
    values = jnp.zeros((4, 3))
    for action in (jnp.zeros((4, 1), jnp.int32), jnp.zeros((1,), jnp.int32), jnp.zeros((), jnp.int32)):
        with pytest.raises(AssertionError):
            select(values, action)


REWARD = jnp.array([1.0, 1.0, -2.0])
TERMINATED = jnp.array([False, True, False])


def test_one_step_target_by_hand():
    got = one_step_target(REWARD, TERMINATED, jnp.array([10.0, jnp.nan, 4.0]), 0.5)
    np.testing.assert_allclose(got, [6.0, 1.0, 0.0])


def test_one_step_target_accepts_integers():
    got = one_step_target(jnp.array([1, 1, -2]), jnp.array([0, 1, 0]), jnp.array([10.0, 20.0, 4.0]), 0.5)
    np.testing.assert_allclose(got, [6.0, 1.0, 0.0])


def test_one_step_target_does_not_broadcast():
    with pytest.raises(AssertionError):
        one_step_target(REWARD, TERMINATED, jnp.zeros((3, 1)), 0.5)


# The target network prefers actions 1, 0, 2; the online one 0, 2, 2.
NEXT_Q = jnp.array([[1.0, 8.0, 2.0], [9.0, 1.0, 1.0], [0.0, -4.0, 6.0]])
ONLINE_Q = jnp.array([[5.0, 1.0, 1.0], [0.0, 0.0, 3.0], [1.0, 1.0, 2.0]])


def test_q_learning_values_the_best_action():
    got = jax.jit(q_learning_target)(REWARD, TERMINATED, NEXT_Q, 0.5)
    np.testing.assert_allclose(got, [1 + 0.5 * 8, 1.0, -2 + 0.5 * 6])


def test_double_q_learning_values_the_action_that_the_other_network_prefers():
    got = q_learning_target(REWARD, TERMINATED, NEXT_Q, 0.5, next_q_selector=ONLINE_Q)
    np.testing.assert_allclose(got, [1 + 0.5 * 1, 1.0, -2 + 0.5 * 6])


def test_q_learning_target_does_not_broadcast():
    with pytest.raises(AssertionError):
        q_learning_target(REWARD[:, None], TERMINATED, NEXT_Q, 0.5)
    with pytest.raises(AssertionError):
        q_learning_target(REWARD, TERMINATED, NEXT_Q, 0.5, next_q_selector=ONLINE_Q[:, :2])


def test_clipped_value_loss_by_hand():
    # With c = 0.5 and V_old = 0: V = 2 counts as 0.5, and the worse of the two errors is taken.
    value, target = jnp.array([2.0, 2.0, 0.25, -2.0]), jnp.array([3.0, 1.0, 1.0, -2.0])
    got = clipped_value_loss(value, jnp.zeros(4), target, 0.5)
    np.testing.assert_allclose(got, [0.5 * 2.5**2, 0.5 * 1.0, 0.5 * 0.75**2, 0.5 * 1.5**2])


def test_the_clipped_value_losss_gradient_stops_where_it_clips():
    gradient = jax.vmap(jax.grad(clipped_value_loss), (0, 0, 0, None))
    # Moved towards the target by more than c: no gradient. Moved away from it: the gradient of the plain error.
    got = gradient(jnp.array([2.0, 2.0, 0.25]), jnp.zeros(3), jnp.array([3.0, -1.0, 1.0]), 0.5)
    np.testing.assert_allclose(got, [0.0, 3.0, -0.75])


def test_clipped_value_loss_does_not_broadcast():
    with pytest.raises(AssertionError):
        clipped_value_loss(jnp.zeros((4, 1)), jnp.zeros(4), jnp.zeros(4), 0.2)
    with pytest.raises(AssertionError):
        clipped_value_loss(jnp.zeros(4), jnp.zeros(4), jnp.zeros((4, 1)), 0.2)
