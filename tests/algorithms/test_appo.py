"""APPO's update by hand: V-trace towards the target policy, and the surrogate measured from it."""

import by_hand
import jax
import numpy as np
from by_hand import DISCOUNT, SGD, SPEC, B, T, mean

from jaxrl.algorithms import appo

ENTROPY, VALUE, CLIP, BOUND, PENALTY = 0.3, 0.7, 0.05, 1.1, 0.4


def returns(batch, ratio, values):
    """V-trace with all bounds at 1 and lambda 1: targets and advantages ``[T, B]``."""
    t, (state, successor) = batch.transitions, by_hand.states_of(batch)
    value, after = values[state], np.where(t.terminated, 0, values[successor])
    target, advantage, ended = np.zeros((T, B)), np.zeros((T, B)), t.terminated | t.truncated
    weight = np.minimum(1, ratio)
    for i in reversed(range(T)):
        later = after[i] if i == T - 1 else np.where(ended[i], after[i], target[i + 1])
        target[i] = value[i] + weight[i] * (t.reward[i] + DISCOUNT * later - value[i])
        advantage[i] = weight[i] * (t.reward[i] + DISCOUNT * later - value[i])
    return target, advantage


def test_an_update_by_hand():
    config = appo.Config(
        num_envs=B, rollout_length=T, hidden_sizes=(), adam_epsilon=SGD, replay_slots=0, kl_penalty=True
    )
    agent = appo.make(SPEC, config)
    hp = agent.hyperparameters.replace(
        discount=DISCOUNT, entropy_coefficient=ENTROPY, value_coefficient=VALUE, learning_rate=SGD, max_grad_norm=1e9,
        clip=CLIP, clip_target=BOUND, kl_coefficient=PENALTY,
    )  # fmt: skip
    init = by_hand.quick(lambda key: agent.init(key, hp))
    state, other = init(jax.random.key(0)), init(jax.random.key(1))
    grown = jax.tree.map(lambda x: 20 * x, {"actor": other.params["actor"]})
    state, batch = state._replace(target=grown), by_hand.rollout()
    new, info = by_hand.quick(agent.update)(state, batch, jax.random.key(1), hp)

    log_probs, values = by_hand.policy_tables(state.params)
    old, _ = by_hand.policy_tables({**grown, "critic": state.params["critic"]})
    acted, where = batch.extras["log_prob"], by_hand.states_of(batch)[0]
    old_ratio = np.exp(by_hand.chosen(old, batch) - acted)
    target, advantage = returns(batch, old_ratio, values)
    ratio = np.minimum(1 / old_ratio, BOUND) * np.exp(by_hand.chosen(log_probs, batch) - acted)
    bounded = np.clip(ratio, 1 - CLIP, 1 + CLIP)
    inside = ratio * advantage <= bounded * advantage
    assert np.any(inside) and not np.all(inside) and np.any(1 / old_ratio > BOUND)
    error = values[where] - target
    step = by_hand.gradient(log_probs, batch, np.where(inside, -advantage * ratio, 0), VALUE * error, -ENTROPY)
    # KL(target || policy) has the slope pi - pi_target in each logit.
    np.add.at(step["actor"], where, PENALTY * ((np.exp(log_probs) - np.exp(old))[where] * batch.valid[..., None] / 14))
    by_hand.assert_moved(new.params, state.params, step)
    surrogate = mean(-np.minimum(ratio * advantage, bounded * advantage), batch)
    np.testing.assert_allclose(info.metrics["policy_loss"], surrogate, rtol=1e-3, atol=1e-5)
    divergence = np.sum(np.exp(old) * (old - log_probs), 1)[where]
    np.testing.assert_allclose(info.metrics["kl"], mean(divergence, batch), rtol=1e-3, atol=1e-6)
