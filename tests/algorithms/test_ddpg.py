"""DDPG's update by hand: target actor and target critic, no noise in either, and what is differentiated."""

import jax
import linear
import numpy as np
from by_hand import ROWS

from jaxrl.algorithms import ddpg

KEY = jax.random.key(7)


def test_an_update_by_hand():
    _, hp, state, update = linear.make(ddpg)
    batch = linear.sample()
    new, info = update(state, batch, KEY, hp)

    t = batch.transitions
    action = np.tanh(linear.actor(state.targets["actor"], t.next_observation).output)
    next_q = linear.critic(state.targets["critic"], t.next_observation, action).output[0, :, 0]
    error = linear.critic(state.critic.variables, t.observation, t.action).output[..., 0] - linear.bellman(
        batch, next_q
    )
    np.testing.assert_allclose(info.priorities, np.abs(error[0]), rtol=1e-3, atol=1e-5)
    linear.assert_critics_descended(new, state, batch, (batch.weights * error / ROWS)[..., None])

    output, hidden = linear.actor(state.actor.variables, t.observation)
    slope = -linear.action_slopes(new.critic.variables)[0] * (1 - np.tanh(output) ** 2) / ROWS
    linear.assert_actor_descended(new, state, hidden, slope)
    for part in ("actor", "critic"):
        linear.assert_followed(new, state, part)
