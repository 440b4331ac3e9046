"""CrossQ's update by hand: one pass of the critics over both observations, and what is differentiated.

There is no target network: one pass, with the statistics of both halves, values ``(s, a)`` and ``(s', a')``.
"""

import by_hand
import jax
import jax.numpy as jnp
import numpy as np
import soft
from soft import ROWS

from jaxrl.algorithms import crossq

KEY, BATCH = jax.random.key(5), soft.batch()


def values(params, pairs):
    """``[N, 2 B]`` of all critics."""
    dense = lambda p, x: x @ p["kernel"] + p["bias"]
    normalized = lambda p, x: (x - x.mean(0)) / jnp.sqrt(x.var(0) + 1e-3) * p["scale"] + p["bias"]

    def one(p):
        layers = p["Layers_0"]
        hidden = jax.nn.relu(dense(layers["Dense_0"], normalized(layers["BatchRenorm_0"], pairs)))
        return dense(p["Dense_0"], normalized(layers["BatchRenorm_1"], hidden))[:, 0]

    (members,) = params.values()
    return jax.vmap(one)(members)


@by_hand.quick
def loss_and_gradient(params, pairs, log_prob):
    """The target is of the values too, and nothing is differentiated in it."""
    target = soft.bellman(BATCH, values(params, pairs)[:, ROWS:].min(0) - soft.TEMPERATURE * log_prob)

    def loss(params):
        q = values(params, pairs)[:, :ROWS]
        return jnp.mean(jnp.sum(0.5 * (q - target) ** 2, axis=0)), q

    (_, q), gradient = jax.value_and_grad(loss, has_aux=True)(params)
    return q, target, gradient


def test_both_halves_are_valued_by_the_statistics_of_the_whole_and_the_gradient_stops_at_the_target():
    agent, hp, state = soft.build(crossq, adam_epsilon=1.0)
    new, info = agent.update(state, BATCH, KEY, hp)
    t, ((action_key, *_), *_) = BATCH.transitions, soft.keys_of(KEY)
    action, log_prob = soft.draw(state, t.next_observation, action_key, "batch")
    now = np.concatenate([t.observation, t.action], axis=-1)
    pairs = np.concatenate([now, np.concatenate([t.next_observation, action], axis=-1)])
    q, target, gradient = loss_and_gradient(state.critic.variables.params, pairs, log_prob)
    soft.assert_errors(info, q, target)
    soft.assert_first_adam_step(new.critic.variables, state.critic.variables, gradient)
    # The running statistics have taken one step from what they were.
    (layers,) = new.critic.variables.stats.values()
    np.testing.assert_allclose(layers["Layers_0"]["BatchRenorm_0"]["steps"], 0.1 + 1, rtol=1e-6)
