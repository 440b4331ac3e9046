"""REDQ's update by hand: targets from a random pair of critics, an actor that climbs the mean of all."""

import jax
import linear
import numpy as np
from by_hand import ROWS
from linear import TEMPERATURE

from jaxrl.algorithms import redq

KEY = jax.random.key(7)


def test_an_update_by_hand():
    _, hp, state, update = linear.make(redq, num_critics=4)
    batch = linear.sample()
    new, info = update(state, batch, KEY, hp)

    t, (action_key, subset_key, *_) = batch.transitions, linear.keys_of(KEY)
    after = linear.draw(state.actor.variables, t.next_observation, action_key)
    next_q = linear.critic(state.targets["critic"], t.next_observation, after.action).output[..., 0]
    pair = np.asarray(jax.random.permutation(subset_key, 4)[:2])
    assert np.any(next_q[pair].min(0) > next_q.min(0))
    q = linear.critic(state.critic.variables, t.observation, t.action).output[..., 0]
    error = q - linear.bellman(batch, next_q[pair].min(0) - TEMPERATURE * after.log_prob)
    np.testing.assert_allclose(info.priorities, np.abs(error).mean(0), rtol=1e-3, atol=1e-5)
    linear.assert_critics_descended(new, state, batch, (batch.weights * error / ROWS)[..., None])
    linear.assert_soft_actor(new, state, batch, KEY, linear.average)
    linear.assert_followed(new, state, "critic")
