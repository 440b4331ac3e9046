"""QR-DQN's update by hand: quantiles of the target, noise of each network, what is differentiated."""

import by_hand
import jax
import numpy as np
import pytest
from by_hand import BOOTSTRAP, NEXT_STATE, ROWS, SGD, SPEC, STATE, assert_descended, noise_keys, table

from jaxrl.algorithms import qr_dqn

KEY = jax.random.key(7)
KAPPA, N = 0.5, 4
TAUS = np.array([1, 3, 5, 7]) / 8


def quantile_huber(quantiles, target, taus):
    """The loss of rows ``[B]``, and its slope in each quantile ``[B, N]``; ``taus`` ``[N]`` or ``[B, N]``."""
    error = target[:, None, :] - quantiles[:, :, None]
    size = np.abs(error)
    huber = np.where(size <= KAPPA, error**2 / 2, KAPPA * (size - KAPPA / 2)) / KAPPA
    weight = np.abs(np.broadcast_to(taus, quantiles.shape)[..., None] - (error < 0))
    slope = -np.mean(weight * np.clip(error, -KAPPA, KAPPA) / KAPPA, axis=2)
    return np.sum(np.mean(weight * huber, axis=2), axis=1), slope


@pytest.mark.parametrize("double_q", [True, False])
def test_an_update_by_hand(double_q):
    config = qr_dqn.Config(hidden_sizes=(), noise="factorised", double_q=double_q, adam_epsilon=SGD, num_quantiles=N)
    agent = qr_dqn.make(SPEC, config)
    hp = agent.hyperparameters.replace(discount=by_hand.DISCOUNT, learning_rate=SGD, max_grad_norm=1e9, kappa=KAPPA)
    state, batch = by_hand.two_networks(agent, hp), by_hand.sample()
    new, info = by_hand.quick(agent.update)(state, batch, KEY, hp)

    t, rows, keys = batch.transitions, np.arange(ROWS), noise_keys(KEY)
    quantiles = table(state.params, keys[0], N)[STATE][rows, t.action]
    valued = table(state.target_params, keys[1], N)[NEXT_STATE]
    chooses = table(state.params, keys[2], N)[NEXT_STATE] if double_q else valued
    best = chooses.mean(2).argmax(1)
    assert np.any(best != valued.mean(2).argmax(1)) == double_q
    target = t.reward[:, None] + BOOTSTRAP[:, None] * valued[rows, best]
    each, slope = quantile_huber(quantiles, target, TAUS)
    np.testing.assert_allclose(info.metrics["loss"], np.mean(batch.weights * each), rtol=1e-4)
    np.testing.assert_allclose(info.priorities, np.abs(quantiles.mean(1) - target.mean(1)), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(info.metrics["q_value"], quantiles.mean(), rtol=1e-4)
    assert_descended(new.params, state.params, batch.weights[:, None] * slope / ROWS)
