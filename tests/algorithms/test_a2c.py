"""A2C's update by hand: ``-A log pi``, half the squared error of the value, and the entropy."""

import by_hand
import jax
import numpy as np
from by_hand import DISCOUNT, SGD, SPEC, B, T, mean

from jaxrl.algorithms import a2c

ENTROPY, VALUE = 0.3, 0.7


def test_an_update_by_hand():
    config = a2c.Config(num_envs=B, rollout_length=T, hidden_sizes=(), optimizer="adam", adam_epsilon=SGD)
    agent = a2c.make(SPEC, config)
    hp = agent.hyperparameters.replace(
        discount=DISCOUNT, gae_lambda=0.8, entropy_coefficient=ENTROPY, value_coefficient=VALUE, learning_rate=SGD,
        max_grad_norm=1e9,
    )  # fmt: skip
    state = by_hand.quick(lambda key: agent.init(key, hp))(jax.random.key(0))
    log_probs, values = by_hand.policy_tables(state.params)
    batch = by_hand.rollout()
    batch = by_hand.rollout(log_prob=by_hand.chosen(log_probs, batch))
    new, info = by_hand.quick(agent.update)(state, batch, jax.random.key(1), hp)

    advantage = by_hand.advantages(batch, values, 0.8)
    # The value is to become what it was and the advantage.
    step = by_hand.gradient(log_probs, batch, -advantage, -VALUE * advantage, -ENTROPY)
    by_hand.assert_moved(new.params, state.params, step)
    np.testing.assert_allclose(info.metrics["value_loss"], mean(advantage**2 / 2, batch), rtol=1e-3)
    np.testing.assert_allclose(info.metrics["entropy"], mean(by_hand.entropies(log_probs, batch), batch), rtol=1e-4)
