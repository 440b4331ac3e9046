import jax
import jax.numpy as jnp
import numpy as np
import pytest
import rlax

from jaxrl.losses.value import (
    ERROR_LOSSES,
    bounded_value_loss,
    clipped_value_loss,
    huber,
    munchausen_target,
    one_step_target,
    q_learning_target,
    scaled_log_policy,
    select,
    soft_value,
    symexp,
    symlog,
    two_hot,
    two_hot_loss,
    two_hot_value,
)

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


def test_select_keeps_what_lies_behind_the_actions():
    # [B, A, N]: two samples, three actions, two atoms.
    values = jnp.arange(12.0).reshape(2, 3, 2)
    np.testing.assert_array_equal(select(values, jnp.array([2, 1])), [[4.0, 5.0], [8.0, 9.0]])
    gradient = jax.grad(lambda v: jnp.sum(select(v, jnp.array([2, 1])) * jnp.array([1.0, 10.0])))(values)
    expected = np.zeros((2, 3, 2))
    expected[0, 2] = expected[1, 1] = [1.0, 10.0]
    np.testing.assert_array_equal(gradient, expected)


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


def test_targets_take_a_discount_for_each_sample():
    # Three samples of 1, 2 and 3 steps: gamma^k, not gamma.
    discount = 0.5 ** jnp.array([1.0, 2.0, 3.0])
    got = one_step_target(REWARD, jnp.zeros(3, bool), jnp.full(3, 8.0), discount)
    np.testing.assert_allclose(got, [1 + 4.0, 1 + 2.0, -2 + 1.0])
    np.testing.assert_allclose(
        q_learning_target(REWARD, TERMINATED, NEXT_Q, discount), [1 + 0.5 * 8, 1.0, -2 + 0.125 * 6]
    )


@pytest.mark.parametrize("shape", [(3, 1), (1, 3), (2,)])
def test_a_discount_does_not_broadcast_the_target(shape):
    with pytest.raises(AssertionError):
        one_step_target(REWARD, TERMINATED, jnp.zeros(3), jnp.ones(shape))


# The target network prefers actions 1, 0, 2; the online one 0, 2, 2.
NEXT_Q = jnp.array([[1.0, 8.0, 2.0], [9.0, 1.0, 1.0], [0.0, -4.0, 6.0]])
ONLINE_Q = jnp.array([[5.0, 1.0, 1.0], [0.0, 0.0, 3.0], [1.0, 1.0, 2.0]])


def test_q_learning_values_the_best_action():
    got = jax.jit(q_learning_target)(REWARD, TERMINATED, NEXT_Q, 0.5)
    np.testing.assert_allclose(got, [1 + 0.5 * 8, 1.0, -2 + 0.5 * 6])


def test_double_q_learning_values_the_action_that_the_other_network_prefers():
    got = q_learning_target(REWARD, TERMINATED, NEXT_Q, 0.5, next_q_selector=ONLINE_Q)
    np.testing.assert_allclose(got, [1 + 0.5 * 1, 1.0, -2 + 0.5 * 6])


@pytest.mark.parametrize("name", ["huber", "mse"])
@pytest.mark.parametrize("double", [False, True])
def test_q_learning_is_rlaxs(double, name, rng):
    q, next_q, selector = rng.normal(0, 2, (3, 32, 4)).astype(np.float32)
    reward, terminated = rng.normal(size=32).astype(np.float32), rng.random(32) < 0.3
    action, discount = rng.integers(0, 4, 32), rng.choice([0.9, 0.81], 32).astype(np.float32)
    others = [selector] if double else []
    rlax_error = jax.vmap(rlax.double_q_learning if double else rlax.q_learning)
    rlax_loss = {"huber": rlax.huber_loss, "mse": rlax.l2_loss}[name]

    def error(q):
        target = q_learning_target(reward, terminated, next_q, discount, next_q_selector=selector if double else None)
        return target - select(q, action)

    def oracle(q):
        return rlax_error(q, action, reward, np.where(terminated, 0, discount).astype(np.float32), next_q, *others)

    size = np.abs(oracle(q))
    assert np.any(size > 1) and np.any(size < 1) and np.any(next_q.argmax(axis=-1) != selector.argmax(axis=-1))
    np.testing.assert_allclose(error(q), oracle(q), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(ERROR_LOSSES[name](error(q)), rlax_loss(oracle(q)), rtol=1e-5, atol=1e-6)
    got = jax.grad(lambda q: jnp.sum(ERROR_LOSSES[name](error(q))))(q)
    np.testing.assert_allclose(got, jax.grad(lambda q: jnp.sum(rlax_loss(oracle(q))))(q), rtol=1e-5, atol=1e-6)


def test_q_learning_target_does_not_broadcast():
    with pytest.raises(AssertionError):
        q_learning_target(REWARD[:, None], TERMINATED, NEXT_Q, 0.5)
    with pytest.raises(AssertionError):
        q_learning_target(REWARD, TERMINATED, NEXT_Q, 0.5, next_q_selector=ONLINE_Q[:, :2])


# --- Soft values and Munchausen


def _policy(q, temperature):
    """``softmax(q / temperature)`` and its logarithm in float64."""
    preference = np.asarray(q, np.float64) / temperature
    preference -= preference.max(axis=-1, keepdims=True)
    log_policy = preference - np.log(np.exp(preference).sum(axis=-1, keepdims=True))
    return np.exp(log_policy), log_policy


@pytest.mark.parametrize("temperature", [0.03, 1.0, 10.0])
def test_soft_value_is_the_expectation_with_its_entropy(rng, temperature):
    q = rng.normal(0, 3, (16, 5)).astype(np.float32)
    policy, log_policy = _policy(q, temperature)
    want = (policy * (q - temperature * log_policy)).sum(axis=-1)
    np.testing.assert_allclose(jax.jit(soft_value)(q, temperature), want, rtol=1e-5, atol=1e-6)
    # Its gradient is the policy.
    gradient = jax.grad(lambda q: jnp.sum(soft_value(q, temperature)))(q)
    np.testing.assert_allclose(gradient, policy, atol=1e-5)


@pytest.mark.parametrize("temperature", [0.03, 1.0, 10.0])
def test_scaled_log_policy_is_the_definition(rng, temperature):
    q = rng.normal(0, 3, (16, 5)).astype(np.float32)
    got = jax.jit(scaled_log_policy)(q, temperature)
    np.testing.assert_allclose(got, temperature * _policy(q, temperature)[1], rtol=1e-4, atol=1e-5)
    assert np.all(got <= 0)


def test_soft_values_are_stable():
    # Q of 10,000 at tau = 0.03 is 333,333 temperatures: exp overflows, and a quotient's last bit is 1/32.
    q = jnp.array([[10_000.0, 10_000.0, 9_000.0], [-10_000.0, -10_000.0, -10_000.0 - 0.0625]])
    policy, log_policy = _policy(q, 0.03)
    np.testing.assert_allclose(scaled_log_policy(q, 0.03), 0.03 * log_policy, rtol=1e-4)
    np.testing.assert_allclose(soft_value(q, 0.03) - q[:, 0], -0.03 * log_policy[:, 0], atol=1e-3)
    for f in (lambda q: soft_value(q, 0.03), lambda q: jnp.sum(scaled_log_policy(q, 0.03), axis=-1)):
        assert np.all(np.isfinite(jax.grad(lambda q: jnp.sum(f(q)))(q)))  # noqa: B023


def test_soft_value_tends_to_the_maximum():
    np.testing.assert_allclose(soft_value(NEXT_Q, 1e-3), [8.0, 9.0, 6.0])
    # And of equal values to the maximum and tau log A.
    np.testing.assert_allclose(soft_value(jnp.zeros((1, 4)), 0.5), [0.5 * np.log(4)], rtol=1e-6)


ACTION = jnp.array([0, 1, 2])
PAPER = {"alpha": 0.9, "temperature": 0.03}


@pytest.mark.parametrize("jit", [True, False])
def test_munchausen_by_hand(jit):
    # Equal values of two actions make log pi = -log 2 and a soft value of Q + tau log 2; tau = 1/2, alpha = 1/4.
    target = jax.jit(munchausen_target) if jit else munchausen_target
    q, next_q = jnp.zeros((2, 2)), jnp.full((2, 2), 3.0)
    got = target(
        jnp.ones(2), jnp.array([False, True]), q, jnp.array([0, 1]), next_q, 0.5, alpha=0.25, temperature=0.5
    )
    bonus = -0.25 * 0.5 * np.log(2)
    np.testing.assert_allclose(got, [1 + bonus + 0.5 * (3 + 0.5 * np.log(2)), 1 + bonus], rtol=1e-6)


@pytest.mark.parametrize("temperature", [0.03, 1.0])
def test_munchausen_is_the_definition(rng, temperature):
    q, next_q = rng.normal(0, 2, (2, 32, 4)).astype(np.float32)
    reward, terminated = rng.normal(size=32).astype(np.float32), rng.random(32) < 0.3
    action, discount = rng.integers(0, 4, 32), rng.choice([0.9, 0.81], 32).astype(np.float32)
    got = munchausen_target(
        reward, terminated, q, jnp.asarray(action), next_q, discount, alpha=0.9, temperature=temperature
    )
    policy, log_policy = _policy(next_q, temperature)
    bootstrap = (policy * (next_q - temperature * log_policy)).sum(axis=-1)
    taken = temperature * _policy(q, temperature)[1][np.arange(32), action]
    assert np.any(taken < -1) and np.any(taken > -1)
    want = reward + 0.9 * np.clip(taken, -1, 0) + discount * ~terminated * bootstrap
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


def test_the_munchausen_bonus_is_clipped_in_units_of_q():
    # The action taken is 10 below the best: tau log pi = -10, whatever tau.
    q, zero = jnp.array([[0.0, -10.0]]), jnp.zeros(1)
    target = lambda **kwargs: munchausen_target(
        zero, jnp.ones(1, bool), q, jnp.array([1]), q, 0.99, alpha=0.5, temperature=0.03, **kwargs
    )
    np.testing.assert_allclose(target(), [-0.5])
    np.testing.assert_allclose(target(clip=-4.0), [-2.0])
    np.testing.assert_allclose(target(clip=-jnp.inf), [-5.0])


def test_without_bonus_and_temperature_munchausen_is_q_learning():
    got = munchausen_target(REWARD, TERMINATED, ONLINE_Q, ACTION, NEXT_Q, 0.5, alpha=0.0, temperature=1e-3)
    np.testing.assert_allclose(got, q_learning_target(REWARD, TERMINATED, NEXT_Q, 0.5))


def test_munchausen_does_not_read_beyond_a_termination():
    next_q = NEXT_Q.at[1].set(jnp.nan)
    got = munchausen_target(REWARD, TERMINATED, ONLINE_Q, ACTION, next_q, 0.5, **PAPER)
    assert np.all(np.isfinite(got))


def test_munchausen_vmaps_over_its_hyperparameters():
    alphas, temperatures = jnp.array([0.0, 0.9]), jnp.array([0.03, 1.0])
    target = lambda a, t: munchausen_target(
        REWARD, TERMINATED, ONLINE_Q, ACTION, NEXT_Q, 0.5, alpha=a, temperature=t
    )
    got = jax.jit(jax.vmap(target))(alphas, temperatures)
    for i in range(2):
        np.testing.assert_allclose(got[i], target(float(alphas[i]), float(temperatures[i])), rtol=1e-6)


def test_munchausen_does_not_broadcast():
    good = [REWARD, TERMINATED, ONLINE_Q, ACTION, NEXT_Q, jnp.full(3, 0.5)]
    bads = [REWARD[:, None], TERMINATED[:, None], ONLINE_Q[:, :2], ACTION[:, None], NEXT_Q[:1], jnp.full((3, 1), 0.5)]
    for place, bad in enumerate(bads):
        with pytest.raises(AssertionError):
            munchausen_target(*good[:place], bad, *good[place + 1 :], **PAPER)


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


def test_the_bounded_value_loss_against_rllib():
    value, target = np.array([0.0, 2.0, -5.0]), np.array([1.0, -1.0, 5.0])
    got = bounded_value_loss(jnp.asarray(value), jnp.asarray(target), 10.0)
    np.testing.assert_allclose(2 * got, np.clip((value - target) ** 2, 0, 10.0))
    assert jax.grad(lambda v: jnp.sum(bounded_value_loss(v, target, 10.0)))(jnp.asarray(value))[2] == 0


def test_two_hot_by_hand():
    support = jnp.array([-1.0, 0.0, 2.0])
    got = two_hot(jnp.array([-1.0, -0.25, 0.0, 0.5, 2.0, 9.0, -9.0]), support)
    want = [[1, 0, 0], [0.25, 0.75, 0], [0, 1, 0], [0, 0.75, 0.25], [0, 0, 1], [0, 0, 1], [1, 0, 0]]
    np.testing.assert_allclose(got, want, atol=1e-6)


def test_two_hot_values_come_back(rng):
    support = jnp.linspace(-20.0, 20.0, 255)
    value = rng.normal(0, 50, (4, 6)).astype(np.float32)
    np.testing.assert_allclose(symexp(symlog(value)), value, rtol=1e-4)
    logits = jnp.log(jnp.maximum(two_hot(symlog(value), support), 1e-30))
    np.testing.assert_allclose(two_hot_value(logits, support), value, rtol=2e-3, atol=1e-3)
    # The loss is least there: its gradient vanishes.
    gradient = jax.grad(lambda logits: jnp.sum(two_hot_loss(logits, value, support)))(logits)
    np.testing.assert_allclose(gradient, 0, atol=1e-5)
