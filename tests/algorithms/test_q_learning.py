"""Acting with action values."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

from jaxrl.algorithms import dqn, rainbow
from jaxrl.types import Spec

SPEC = Spec("test", spaces.Box(-1, 1, (3,), np.float32), spaces.Discrete(4))


@pytest.mark.parametrize("module", [dqn, rainbow], ids=["dqn", "rainbow"])
def test_an_evaluation_takes_the_best_action_but_for_its_own_epsilon(module):
    agent = module.make(SPEC, module.Config(hidden_sizes=(8,)))
    hp = dataclasses.replace(agent.hyperparameters, epsilon=1.0)
    state, x = agent.init(jax.random.key(0), hp), jnp.ones((4_000, 3))
    act = lambda key, hp: np.asarray(agent.act(agent.policy(state), x, (), jax.random.key(key), hp, False)[0])
    best = act(0, hp)
    assert np.all(best == best[0])
    np.testing.assert_array_equal(act(1, hp), best)
    others = np.mean(act(1, hp.replace(evaluation_epsilon=0.4)) != best)
    # A random action is the best one in a quarter of the cases.
    assert abs(others - 0.3) < 0.03
