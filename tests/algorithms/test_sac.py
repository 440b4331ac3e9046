"""SAC's update by hand: soft targets, reparametrised actor, temperature, and the state values of its first version."""

import jax
import linear
import numpy as np
import pytest
from by_hand import ROWS
from linear import TEMPERATURE

from jaxrl.algorithms import sac

KEY = jax.random.key(7)


def test_an_update_by_hand():
    _, hp, state, update = linear.make(sac)
    batch = linear.sample()
    new, info = update(state, batch, KEY, hp)

    t = batch.transitions
    after = linear.draw(state.actor.variables, t.next_observation, linear.keys_of(KEY)[0])
    next_q = linear.critic(state.targets["critic"], t.next_observation, after.action).output[..., 0]
    assert len(set(next_q.argmin(0))) == 2
    q = linear.critic(state.critic.variables, t.observation, t.action).output[..., 0]
    error = q - linear.bellman(batch, next_q.min(0) - TEMPERATURE * after.log_prob)
    np.testing.assert_allclose(info.priorities, np.abs(error).mean(0), rtol=1e-3, atol=1e-5)
    linear.assert_critics_descended(new, state, batch, (batch.weights * error / ROWS)[..., None])
    linear.assert_soft_actor(new, state, batch, KEY, linear.smallest)
    linear.assert_followed(new, state, "critic")
    drawn = linear.draw(state.actor.variables, t.observation, linear.keys_of(KEY)[3])
    np.testing.assert_allclose(info.metrics["entropy"], -drawn.log_prob.mean(), rtol=1e-3)


@pytest.mark.parametrize(
    ("config", "learnt", "objective"),
    [
        ({}, "minimum", linear.smallest),
        ({"actor_value": "first"}, "minimum", lambda q: np.eye(2)[:, :1] + 0 * q),
        ({"state_value_target": "first"}, "first", linear.smallest),
    ],
    ids=["both", "actor", "value"],
)
def test_state_values_by_hand(config, learnt, objective):
    """They and the actor have an objective each, of actions drawn for each, by the critics just stepped."""
    _, hp, state, update = linear.make(sac, state_value=True, **config)
    batch = linear.sample()
    new, _ = update(state, batch, KEY, hp)

    def value(variables, x):
        dense = lambda layer, x: x @ np.asarray(layer["kernel"], np.float64) + np.asarray(layer["bias"])
        hidden = dense(variables.params["Layers_0"]["Dense_0"], x)
        return dense(variables.params["Dense_0"], hidden)[:, 0], hidden

    t = batch.transitions
    bootstrap, _ = value(state.targets["value"], t.next_observation)
    q = linear.critic(state.critic.variables, t.observation, t.action).output[..., 0]
    error = q - linear.bellman(batch, bootstrap)
    linear.assert_critics_descended(new, state, batch, (batch.weights * error / ROWS)[..., None])

    drawn = linear.draw(state.actor.variables, t.observation, linear.keys_of(KEY)[2])
    soft = linear.critic(new.critic.variables, t.observation, drawn.action).output[..., 0]
    assert np.any(soft[0] > soft.min(0))
    soft = soft[0] if learnt == "first" else soft.min(0)
    now, hidden = value(state.value.variables, t.observation)
    slope = (now - (soft - TEMPERATURE * drawn.log_prob)) / ROWS
    after, before = (s.value.variables.params["Dense_0"] for s in (new, state))
    np.testing.assert_allclose(after["kernel"][:, 0] - before["kernel"][:, 0], -hidden.T @ slope, rtol=2e-3, atol=2e-5)
    np.testing.assert_allclose(after["bias"][0] - before["bias"][0], -slope.sum(), rtol=2e-3, atol=2e-5)
    linear.assert_followed(new, state, "value")
    linear.assert_soft_actor(new, state, batch, KEY, objective)
