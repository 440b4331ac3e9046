"""PQN's update by hand: Q(lambda) targets through both kinds of end, dummy steps, and what is differentiated."""

import by_hand
import jax
import numpy as np
from by_hand import DISCOUNT, SPEC, B, T, table

from jaxrl.algorithms import pqn


def test_an_update_by_hand():
    sizes = {"num_envs": B, "rollout_length": T, "hidden_sizes": ()}
    agent = pqn.make(SPEC, pqn.Config(**sizes, num_epochs=1, num_minibatches=1))
    # The first step of rectified Adam is the rate times the gradient.
    hp = agent.hyperparameters.replace(discount=DISCOUNT, q_lambda=0.7, learning_rate=0.5, max_grad_norm=1e9)
    state, batch = by_hand.quick(lambda key: agent.init(key, hp))(jax.random.key(0)), by_hand.rollout()
    new, info = by_hand.quick(agent.update)(state, batch, jax.random.key(1), hp)

    t, (now, after) = batch.transitions, by_hand.states_of(batch)
    q = table(state.params)
    best, target = q.max(1)[after], np.zeros((T, B))
    for i in reversed(range(T)):
        later = best[i] if i == T - 1 else 0.3 * best[i] + 0.7 * target[i + 1]
        later = np.where(t.truncated[i], best[i], later)
        target[i] = t.reward[i] + DISCOUNT * np.where(t.terminated[i], 0, later)
    error = np.where(batch.valid, q[now, t.action] - target, 0)
    count = batch.valid.sum()
    np.testing.assert_allclose(info.metrics["loss"], np.sum(error**2 / 2) / count, rtol=1e-4)
    gradient = np.zeros_like(q)
    np.add.at(gradient, (now, t.action), error / count)
    moved = {name: by_hand.head(new.params)[name] - by_hand.head(state.params)[name] for name in ("kernel", "bias")}
    np.testing.assert_allclose(moved["kernel"], -0.5 * gradient, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(moved["bias"], -0.5 * gradient.sum(0), rtol=1e-3, atol=1e-6)
