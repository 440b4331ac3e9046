"""TQC's update by hand: the smaller quantiles of all critics' mixture, an actor that climbs the mean of means."""

import jax
import linear
import numpy as np
from by_hand import ROWS
from linear import TEMPERATURE

from jaxrl.algorithms import tqc

KEY = jax.random.key(7)
TAUS = np.array([1, 3, 5]) / 6


def test_an_update_by_hand():
    _, hp, state, update = linear.make(tqc, num_quantiles=3, drop_quantiles=1)
    batch = linear.sample()
    new, info = update(state, batch, KEY, hp)

    t = batch.transitions
    after = linear.draw(state.actor.variables, t.next_observation, linear.keys_of(KEY)[0])
    next_z = linear.critic(state.targets["critic"], t.next_observation, after.action).output
    kept = np.sort(np.moveaxis(next_z, 0, 1).reshape(ROWS, 6), axis=1)[:, :4]
    target = linear.bellman(batch, kept - TEMPERATURE * after.log_prob[:, None])
    z = linear.critic(state.critic.variables, t.observation, t.action).output
    error = target[None, :, None, :] - z[..., None]
    size = np.abs(error)
    weight = np.abs(TAUS[:, None] - (error < 0))
    each = np.mean(weight * np.where(size <= 1, error**2 / 2, size - 0.5), axis=3).sum(axis=(0, 2))
    np.testing.assert_allclose(info.metrics["loss"], np.mean(batch.weights * each), rtol=1e-3)
    np.testing.assert_allclose(info.priorities, np.abs(z.mean((0, 2)) - target.mean(1)), rtol=1e-3, atol=1e-5)
    slope = -np.mean(weight * np.clip(error, -1, 1), axis=3) * batch.weights[:, None] / ROWS
    linear.assert_critics_descended(new, state, batch, slope)
    linear.assert_soft_actor(new, state, batch, KEY, linear.average)
    linear.assert_followed(new, state, "critic")
