"""Rainbow is C51 with its switches, or DQN with them: their updates, of which ``test_c51`` and ``test_dqn`` are."""

import by_hand
import jax
import numpy as np
import pytest

from jaxrl.algorithms import c51, dqn, rainbow


@pytest.mark.parametrize(("distributional", "module"), [(True, c51), (False, dqn)])
def test_an_update_is_that_of_the_member_with_all_switches_on(distributional, module):
    agent = rainbow.make(by_hand.SPEC, rainbow.Config(hidden_sizes=(), distributional=distributional, dueling=False))
    on = {"double_q": True, "noise": "factorised", "n_step": 3, "prioritized": True, "adam_epsilon": 1.5e-4}
    twin = module.make(by_hand.SPEC, module.Config(hidden_sizes=(), **on))
    hp = agent.hyperparameters
    state, batch, key = by_hand.two_networks(agent, hp), by_hand.sample(), jax.random.key(7)
    states = by_hand.quick(
        lambda state: [
            agent.update(state, batch, key, hp),
            twin.update(state, batch, key, module.Hyperparameters()),
        ]
    )(state)
    jax.tree.map(np.testing.assert_array_equal, *states)


def test_all_six_parts_are_on_by_default():
    config = rainbow.Config()
    assert config.distributional and config.double_q and config.dueling and config.prioritized
    assert (config.noise, config.n_step) == ("factorised", 3)
    assert rainbow.Hyperparameters().priority_exponent == 0.5
