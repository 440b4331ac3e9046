"""DQN's update by hand: target, noise of each network, what is differentiated."""

import by_hand
import jax
import numpy as np
import pytest
from by_hand import BOOTSTRAP, NEXT_STATE, ROWS, SGD, SPEC, STATE, assert_descended, noise_keys, table

from jaxrl.algorithms import dqn

KEY = jax.random.key(7)


@pytest.mark.parametrize(("double_q", "loss"), [(True, "huber"), (False, "mse")])
def test_an_update_by_hand(double_q, loss):
    config = dqn.Config(hidden_sizes=(), noise="factorised", double_q=double_q, loss=loss, adam_epsilon=SGD)
    agent = dqn.make(SPEC, config)
    hp = agent.hyperparameters.replace(
        discount=by_hand.DISCOUNT, learning_rate=SGD, max_grad_norm=1e9, q_regularization=0.25
    )
    state, batch = by_hand.two_networks(agent, hp), by_hand.sample()
    new, info = by_hand.quick(agent.update)(state, batch, KEY, hp)

    t, rows, keys = batch.transitions, np.arange(ROWS), noise_keys(KEY)
    q = table(state.params, keys[0])[STATE][rows, t.action]
    valued = table(state.target_params, keys[1])[NEXT_STATE]
    chooses = table(state.params, keys[2])[NEXT_STATE] if double_q else valued
    best = chooses.argmax(1)
    assert np.any(best != valued.argmax(1)) == double_q
    target = t.reward + BOOTSTRAP * valued[rows, best]
    error = q - target
    each = np.where(np.abs(error) <= 1, error**2 / 2, np.abs(error) - 0.5) if loss == "huber" else error**2 / 2
    np.testing.assert_allclose(info.priorities, np.abs(error), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(info.metrics["loss"], np.mean(batch.weights * each) + 0.25 * np.mean(q**2), rtol=1e-4)
    np.testing.assert_allclose(info.metrics["q_value"], q.mean(), rtol=1e-4)
    slope = np.clip(error, -1, 1) if loss == "huber" else error
    assert_descended(new.params, state.params, batch.weights * slope / ROWS + 0.25 * 2 * q / ROWS)


def test_acting_by_hand():
    """The network's noise, one for each environment, has a key of its own beside that of exploration."""
    agent = dqn.make(SPEC, dqn.Config(hidden_sizes=(), noise="factorised", exploration="epsilon_greedy"))
    hp = agent.hyperparameters.replace(epsilon=0.5)
    state, states = by_hand.two_networks(agent, hp), np.arange(40) % by_hand.STATES
    action = by_hand.quick(lambda policy, x: agent.act(policy, x, (), KEY, hp)[0])(
        agent.policy(state), by_hand.one_hot(states)
    )
    explore_key, noise_key = jax.random.split(KEY)
    normals = np.asarray(jax.random.normal(noise_key, (40, by_hand.STATES + by_hand.ACTIONS)))
    noise_in, noise_out = np.split(np.sign(normals) * np.sqrt(np.abs(normals)), [by_hand.STATES], axis=1)
    layer, rows = by_hand.head(state.params), np.arange(40)
    q = layer["kernel"][states] + layer["bias"]
    q = q + (layer["kernel_sigma"][states] * noise_in[rows, states][:, None] + layer["bias_sigma"]) * noise_out
    choice_key, action_key = jax.random.split(explore_key)
    at_random = np.asarray(jax.random.uniform(choice_key, (40,))) < 0.5
    drawn = np.asarray(jax.random.randint(action_key, (40,), 0, by_hand.ACTIONS))
    np.testing.assert_array_equal(action, np.where(at_random, drawn, q.argmax(1)))
