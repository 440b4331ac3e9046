"""IMPALA's update by hand: V-trace of an older policy's data, both kinds of end, dummy steps, where gradients stop."""

import by_hand
import jax
import numpy as np
from by_hand import DISCOUNT, SGD, SPEC, B, T, mean

from jaxrl.algorithms import impala

ENTROPY, VALUE, LAMBDA = 0.3, 0.7, 0.9
RHO, C, POLICY_RHO = 1.3, 1.1, 1.2


def vtrace(batch, ratio, values):
    """Targets and advantages ``[T, B]``, step by step from the end."""
    t, (state, successor) = batch.transitions, by_hand.states_of(batch)
    value, after = values[state], np.where(t.terminated, 0, values[successor])
    target, advantage, ended = np.zeros((T, B)), np.zeros((T, B)), t.terminated | t.truncated
    for i in reversed(range(T)):
        later = after[i] if i == T - 1 else np.where(ended[i], after[i], target[i + 1])
        delta = np.minimum(RHO, ratio[i]) * (t.reward[i] + DISCOUNT * after[i] - value[i])
        trace = DISCOUNT * LAMBDA * np.minimum(C, ratio[i])
        target[i] = value[i] + delta + trace * (later - after[i])
        advantage[i] = np.minimum(POLICY_RHO, ratio[i]) * (t.reward[i] + DISCOUNT * later - value[i])
    return target, advantage


def hyperparameters(agent):
    return agent.hyperparameters.replace(
        discount=DISCOUNT, trace_lambda=LAMBDA, clip_rho=RHO, clip_c=C, clip_policy_rho=POLICY_RHO,
        entropy_coefficient=ENTROPY, value_coefficient=VALUE, learning_rate=SGD, max_grad_norm=1e9,
    )  # fmt: skip


def test_an_update_by_hand():
    config = impala.Config(num_envs=B, rollout_length=T, hidden_sizes=(), adam_epsilon=SGD)
    agent = impala.make(SPEC, config)
    hp = hyperparameters(agent)
    init = by_hand.quick(lambda key: agent.init(key, hp))
    state, batch = init(jax.random.key(0)), by_hand.rollout()
    new, info = by_hand.quick(agent.update)(state, batch, jax.random.key(1), hp)

    log_probs, values = by_hand.policy_tables(state.params)
    ratio = np.exp(by_hand.chosen(log_probs, batch) - batch.extras["log_prob"])
    assert np.any(ratio > RHO) and np.any(ratio < C)
    target, advantage = vtrace(batch, ratio, values)
    error = values[by_hand.states_of(batch)[0]] - target
    step = by_hand.gradient(log_probs, batch, -advantage, VALUE * error, -ENTROPY)
    by_hand.assert_moved(new.params, state.params, step)
    np.testing.assert_allclose(info.metrics["value_loss"], mean(error**2 / 2, batch), rtol=1e-3)
    np.testing.assert_allclose(info.metrics["importance_weight"], mean(ratio, batch), rtol=1e-3)
