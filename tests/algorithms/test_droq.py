"""DroQ's update by hand: which units drop out, where, and where none do."""

import jax
import numpy as np
import pytest
import soft

from jaxrl.algorithms import droq

LAYERS = {"normalization": "layer", "dropout": 0.5}
KEY, BATCH = jax.random.key(5), soft.batch()


@pytest.fixture(scope="module")
def update():
    """``agent, state, new, info``."""
    agent, hp, state = soft.build(droq, dropout=0.5)
    return agent, state, *agent.update(state, BATCH, KEY, hp)


def test_values_and_target_drop_out_units_of_their_own(update):
    _, state, _, info = update
    t, ((action_key, _, values_key, target_key), *_) = BATCH.transitions, soft.keys_of(KEY)
    action, log_prob = soft.draw(state, t.next_observation, action_key)
    next_q = soft.values(state.targets["critic"], t.next_observation, action, target_key, **LAYERS)
    q = soft.values(state.critic.variables, t.observation, t.action, values_key, **LAYERS)
    soft.assert_errors(info, q, soft.bellman(BATCH, next_q.min(0) - soft.TEMPERATURE * log_prob))


def test_the_actor_climbs_the_mean_of_critics_that_drop_out(update):
    _, state, new, info = update
    action_key, dropout_key = jax.random.split(soft.keys_of(KEY)[-1])
    x = BATCH.transitions.observation
    action, log_prob = soft.draw(state, x, action_key)
    q = soft.values(new.critic.variables, x, action, dropout_key, **LAYERS)
    want = np.mean(soft.TEMPERATURE * log_prob - q.mean(0))
    np.testing.assert_allclose(info.metrics["actor_loss"], want, rtol=1e-4)


def test_nothing_drops_out_of_an_evaluation(update):
    agent, state, *_ = update
    x = BATCH.transitions.observation
    want = soft.values(state.critic.variables, x, soft.policy(state, x).mode(), normalization="layer").mean(0)
    np.testing.assert_allclose(agent.value(state, x), want, rtol=1e-5)
