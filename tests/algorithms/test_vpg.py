"""VPG's update by hand: one step of the policy, one of the value upon the rewards to come."""

import by_hand
import jax
import natural
import numpy as np
from by_hand import SGD

from jaxrl.algorithms import vpg


def test_an_update_by_hand():
    agent, hp = natural.make(vpg)
    hp = hp.replace(learning_rate=SGD)
    state = natural.init(agent, hp)
    batch, step = natural.problem(state.params)
    new, info = by_hand.quick(agent.update)(state, batch, jax.random.key(1), hp)
    by_hand.assert_moved(new.params, state.params, step)
    norm = np.sqrt(np.sum(step["actor"] ** 2) + np.sum(step["actor"].sum(0) ** 2))
    np.testing.assert_allclose(info.metrics["grad_norm"], norm, rtol=1e-3)
