"""IQN's update by hand: whose quantiles each network is asked for, its noise, and what is differentiated."""

import by_hand
import jax
import numpy as np
import pytest
from by_hand import BOOTSTRAP, NEXT_STATE, ROWS, SGD, SPEC, STATE

from jaxrl.algorithms import iqn

KEY = jax.random.key(7)
K, N, N_PRIME, COSINES, KAPPA = 2, 3, 4, 5, 0.5


def embedded(params, states, taus):
    """``[B, N, S]``: an observation times the cosines of each quantile."""
    layer = params["params"]["QuantileEmbedding_0"]["Dense_0"]
    cosines = np.cos(np.pi * np.arange(COSINES) * taus[..., None])
    factors = np.maximum(cosines @ np.asarray(layer["kernel"]) + np.asarray(layer["bias"]), 0)
    return by_hand.one_hot(states)[:, None, :] * factors


def quantiles_of(params, states, taus, key):
    """``[B, N, A]``."""
    kernel, bias = by_hand.noisy_layer(by_hand.head(params), key)
    return embedded(params, states, taus) @ kernel + bias


def quantile_huber(quantiles, target, taus):
    """The loss of rows ``[B]``, and its slope in each quantile ``[B, N]``."""
    error = target[:, None, :] - quantiles[:, :, None]
    size = np.abs(error)
    huber = np.where(size <= KAPPA, error**2 / 2, KAPPA * (size - KAPPA / 2)) / KAPPA
    weight = np.abs(taus[..., None] - (error < 0))
    slope = -np.mean(weight * np.clip(error, -KAPPA, KAPPA) / KAPPA, axis=2)
    return np.sum(np.mean(weight * huber, axis=2), axis=1), slope


@pytest.mark.parametrize("double_q", [True, False])
def test_an_update_by_hand(double_q):
    config = iqn.Config(
        hidden_sizes=(), noise="factorised", double_q=double_q, adam_epsilon=SGD, policy_samples=K,
        online_samples=N, target_samples=N_PRIME, num_cosines=COSINES,
    )  # fmt: skip
    agent = iqn.make(SPEC, config)
    hp = agent.hyperparameters.replace(discount=by_hand.DISCOUNT, learning_rate=SGD, max_grad_norm=1e9, kappa=KAPPA)
    state, batch = by_hand.two_networks(agent, hp), by_hand.sample()
    new, info = by_hand.quick(agent.update)(state, batch, KEY, hp)

    t, rows = batch.transitions, np.arange(ROWS)
    choosing, targets, online, *noise = jax.random.split(KEY, 6)
    drawn = lambda key, n: np.asarray(jax.random.uniform(key, (ROWS, n)))
    chooser = state.params if double_q else state.target_params
    best = quantiles_of(chooser, NEXT_STATE, drawn(choosing, K), noise[2]).mean(1).argmax(1)
    valued = quantiles_of(state.target_params, NEXT_STATE, drawn(targets, N_PRIME), noise[1])[rows, :, best]
    target = t.reward[:, None] + BOOTSTRAP[:, None] * valued
    taus = drawn(online, N)
    quantiles = quantiles_of(state.params, STATE, taus, noise[0])[rows, :, t.action]
    each, slope = quantile_huber(quantiles, target, taus)
    np.testing.assert_allclose(info.metrics["loss"], np.mean(batch.weights * each), rtol=1e-4)
    np.testing.assert_allclose(info.priorities, np.abs(quantiles.mean(1) - target.mean(1)), rtol=1e-3, atol=1e-5)

    slope = batch.weights[:, None] * slope / ROWS
    gradient = np.zeros((by_hand.STATES, by_hand.ACTIONS))
    np.add.at(gradient.T, t.action, np.einsum("bn,bns->bs", slope, embedded(state.params, STATE, taus)))
    bias = np.bincount(t.action, weights=slope.sum(1), minlength=by_hand.ACTIONS)
    moved = {name: by_hand.head(new.params)[name] - by_hand.head(state.params)[name] for name in ("kernel", "bias")}
    np.testing.assert_allclose(moved["kernel"], -gradient, rtol=1e-3, atol=2e-5)
    np.testing.assert_allclose(moved["bias"], -bias, rtol=1e-3, atol=2e-5)
