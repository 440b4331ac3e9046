"""A3C's update by hand: each worker's gradient at its own copy, applied one after another in the order of the key."""

import by_hand
import jax
import jax.numpy as jnp
import numpy as np
from by_hand import DISCOUNT, SGD, SPEC, B, T

from jaxrl.algorithms import a3c
from jaxrl.random import permutation
from jaxrl.types import Rollout

ENTROPY, VALUE = 0.3, 0.7


def part(batch, i):
    """The share of worker i: one environment, three times, so that the tables' shapes stay."""
    share = lambda x: np.repeat(x[:, i : i + 1], B, axis=1)
    return Rollout(*(jax.tree.map(share, x) for x in batch))


def test_an_update_by_hand():
    config = a3c.Config(
        num_workers=B, num_envs=B, rollout_length=T, hidden_sizes=(), optimizer="adam", adam_epsilon=SGD
    )
    agent = a3c.make(SPEC, config)
    hp = agent.hyperparameters.replace(
        discount=DISCOUNT, gae_lambda=0.8, entropy_coefficient=ENTROPY, value_coefficient=VALUE, learning_rate=SGD,
        max_grad_norm=1e9,
    )  # fmt: skip
    init, key = by_hand.quick(lambda key: agent.init(key, hp)), jax.random.key(3)
    state, *others = (init(jax.random.key(i)) for i in range(B + 1))
    copies = jax.tree.map(lambda *x: jnp.stack(x), *(other.params for other in others))
    state, batch = state._replace(workers=copies), by_hand.rollout()
    new, _ = by_hand.quick(agent.update)(state, batch, key, hp)

    gradients = []
    for i, other in enumerate(others):
        log_probs, values = by_hand.policy_tables(other.params)
        own = part(batch, i)
        advantage = by_hand.advantages(own, values, 0.8)
        gradients.append(by_hand.gradient(log_probs, own, -advantage, -VALUE * advantage, -ENTROPY))
    order = np.asarray(permutation(key, B)).tolist()
    moved = {side: np.zeros_like(gradients[0][side]) for side in ("actor", "critic")}
    momentum = dict(moved)
    for count, worker in enumerate(order, start=1):
        for side, gradient in gradients[worker].items():
            momentum[side] = 0.9 * momentum[side] + 0.1 * gradient
            moved[side] = moved[side] + momentum[side] / (1 - 0.9**count)
        copy = jax.tree.map(lambda x, w=worker: x[w], new.workers)
        by_hand.assert_moved(copy, state.params, moved)
    by_hand.assert_moved(new.params, state.params, moved)
