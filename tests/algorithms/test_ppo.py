"""PPO's update by hand, two gradient steps of it: advantages through both kinds of end, ratios, clipping, entropy."""

import by_hand
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from by_hand import DISCOUNT, SGD, SPEC, B, T, mean

from jaxrl.algorithms import ppo

CLIP, ENTROPY, VALUE = 0.2, 0.3, 0.7


def slopes(params, batch, advantage, old_value, target):
    """The gradient of PPO's loss, and its parts."""
    log_probs, values = by_hand.policy_tables(params)
    ratio = np.exp(by_hand.chosen(log_probs, batch) - batch.extras["log_prob"])
    value = values[by_hand.states_of(batch)[0]]
    bounded = np.clip(ratio, 1 - CLIP, 1 + CLIP)
    inside = ratio * advantage <= bounded * advantage
    near = old_value + np.clip(value - old_value, -CLIP, CLIP)
    moves = (value - target) ** 2 >= (near - target) ** 2
    metrics = {
        "policy_loss": mean(-np.minimum(ratio * advantage, bounded * advantage), batch),
        "value_loss": mean(0.5 * np.maximum((value - target) ** 2, (near - target) ** 2), batch),
        "entropy": mean(by_hand.entropies(log_probs, batch), batch),
        "approximate_kl": mean(ratio - 1 - np.log(ratio), batch),
        "clip_fraction": mean(np.abs(ratio - 1) > CLIP, batch),
    }
    # Where the clipped error is the larger one, the value has left the clip: it has no slope.
    of_value = VALUE * np.where(moves, value - target, 0)
    return by_hand.gradient(log_probs, batch, np.where(inside, -advantage * ratio, 0), of_value, -ENTROPY), metrics


def test_two_steps_by_hand():
    sizes = {"num_envs": B, "rollout_length": T, "hidden_sizes": ()}
    agent = ppo.make(SPEC, ppo.Config(**sizes, num_epochs=2, num_minibatches=1, adam_epsilon=SGD))
    hp = agent.hyperparameters.replace(
        discount=DISCOUNT, gae_lambda=0.8, clip=CLIP, entropy_coefficient=ENTROPY, value_coefficient=VALUE,
        learning_rate=SGD, max_grad_norm=1e9,
    )  # fmt: skip
    state, batch = by_hand.quick(lambda key: agent.init(key, hp))(jax.random.key(0)), by_hand.rollout()
    new, info = by_hand.quick(agent.update)(state, batch, jax.random.key(1), hp)

    values = by_hand.policy_tables(state.params)[1]
    old_value = values[by_hand.states_of(batch)[0]]
    advantage = by_hand.advantages(batch, values, 0.8)
    target = advantage + old_value
    centred = advantage - mean(advantage, batch)
    normalised = centred / np.sqrt(mean(centred**2, batch))
    first, one = slopes(state.params, batch, normalised, old_value, target)
    stepped = jax.tree.map(np.array, state.params)
    for side, table in first.items():
        (layer,) = stepped[side]["params"].values()
        layer["Dense_0"]["kernel"] -= table.astype(np.float32)
        layer["Dense_0"]["bias"] -= table.sum(0).astype(np.float32)
    second, two = slopes(stepped, batch, normalised, old_value, target)
    for name, value in one.items():
        np.testing.assert_allclose(info.metrics[name], (value + two[name]) / 2, rtol=1e-3, atol=1e-5)
    # Adam's second mean of gradients, without its bias.
    momentum = {side: (0.9 * 0.1 * first[side] + 0.1 * second[side]) / 0.19 for side in first}
    by_hand.assert_moved(new.params, state.params, {side: first[side] + momentum[side] for side in first})


@pytest.mark.parametrize(("stop", "metric", "sign"), [("k1", "mean_log_ratio", -1), ("k3", "approximate_kl", 1)])
def test_steps_stop_beyond_one_and_a_half_times_the_target(stop, metric, sign):
    config = ppo.Config(num_envs=B, rollout_length=T, num_minibatches=1, kl_stop=stop)
    control = ppo.control(config, None, ppo.Hyperparameters(target_kl=0.1))
    goes_on = lambda kl: bool(control.step(control.state, {metric: jnp.float32(sign * kl)}, jnp.array(True))[2])
    assert [goes_on(kl) for kl in (0.0, 0.149, 0.151, 1.0)] == [True, True, False, False]
