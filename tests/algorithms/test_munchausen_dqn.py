"""Munchausen DQN's update by hand: bonus and soft value, both of the target network, and what is differentiated."""

import by_hand
import jax
import numpy as np
from by_hand import BOOTSTRAP, NEXT_STATE, ROWS, SGD, SPEC, STATE, assert_descended, noise_keys, table

from jaxrl.algorithms import munchausen_dqn

KEY = jax.random.key(7)
TAU, ALPHA, CLIP = 0.3, 0.8, -0.5


def test_an_update_by_hand():
    config = munchausen_dqn.Config(hidden_sizes=(), noise="factorised", adam_epsilon=SGD, loss="mse")
    agent = munchausen_dqn.make(SPEC, config)
    hp = agent.hyperparameters.replace(
        discount=by_hand.DISCOUNT, learning_rate=SGD, max_grad_norm=1e9, munchausen_scale=ALPHA,
        entropy_temperature=TAU, log_policy_clip=CLIP,
    )  # fmt: skip
    state, batch = by_hand.two_networks(agent, hp), by_hand.sample()
    new, info = by_hand.quick(agent.update)(state, batch, KEY, hp)

    t, rows, keys = batch.transitions, np.arange(ROWS), noise_keys(KEY)
    q = table(state.params, keys[0])[STATE][rows, t.action]
    slow = table(state.target_params, keys[1])
    policy = np.exp(slow / TAU) / np.exp(slow / TAU).sum(1, keepdims=True)
    taken = TAU * np.log(policy[STATE][rows, t.action])
    bonus = ALPHA * np.clip(taken, CLIP, 0)
    assert np.any(taken < CLIP) and np.any(taken > CLIP)
    soft = np.sum(policy * (slow - TAU * np.log(policy)), axis=1)
    error = q - (t.reward + bonus + BOOTSTRAP * soft[NEXT_STATE])
    np.testing.assert_allclose(info.priorities, np.abs(error), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(info.metrics["loss"], np.mean(batch.weights * error**2 / 2), rtol=1e-4)
    assert_descended(new.params, state.params, batch.weights * error / ROWS)
