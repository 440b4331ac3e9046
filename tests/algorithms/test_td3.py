"""TD3's update by hand: a smoothed target action, the smaller critic, and an actor at every other update."""

import jax
import linear
import numpy as np
import pytest
from by_hand import ROWS

from jaxrl.algorithms import td3

KEY = jax.random.key(7)
SCALE, CLIP = 0.6, 0.3


@pytest.fixture(scope="module")
def member():
    """``hp, state, update``; the noise of exploration is another than that of smoothing."""
    _, hp, state, update = linear.make(td3, policy_delay=2)
    return hp.replace(smoothing_scale=SCALE, smoothing_clip=CLIP, noise_scale=9.0), state, update


@pytest.mark.parametrize("updates", [0, 1])
def test_an_update_by_hand(member, updates):
    hp, state, update = member
    state, batch = state._replace(updates=np.int32(updates)), linear.sample()
    new, info = update(state, batch, KEY, hp)

    t = batch.transitions
    noise = SCALE * np.asarray(jax.random.normal(linear.keys_of(KEY)[0], (ROWS, linear.N)))
    assert np.any(np.abs(noise) > CLIP)
    action = np.tanh(linear.actor(state.targets["actor"], t.next_observation).output)
    action = np.clip(action + np.clip(noise, -CLIP, CLIP), -1, 1)
    next_q = linear.critic(state.targets["critic"], t.next_observation, action).output[..., 0]
    assert np.any(next_q[0] > next_q.min(0))
    q = linear.critic(state.critic.variables, t.observation, t.action).output[..., 0]
    error = q - linear.bellman(batch, next_q.min(0))
    np.testing.assert_allclose(info.priorities, np.abs(error).mean(0), rtol=1e-3, atol=1e-5)
    linear.assert_critics_descended(new, state, batch, (batch.weights * error / ROWS)[..., None])

    if updates == 0:
        same = lambda a, b: jax.tree.map(np.testing.assert_array_equal, a, b)
        same(new.actor, state.actor)
        same(new.targets, state.targets)
        return
    output, hidden = linear.actor(state.actor.variables, t.observation)
    # The first critic alone, and no noise.
    slope = -linear.action_slopes(new.critic.variables)[0] * (1 - np.tanh(output) ** 2) / ROWS
    linear.assert_actor_descended(new, state, hidden, slope)
    for part in ("actor", "critic"):
        linear.assert_followed(new, state, part)
