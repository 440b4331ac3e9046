"""The protocol of compiled environments; rows of several agents are in ``tests/training/test_agents.py`` too."""

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces

from jaxrl.envs.environment import Environment, reset_rows, step_rows, transition_step


def test_a_step_keeps_both_ends_apart_and_has_the_dtypes_of_jaxrl():
    t = transition_step(jnp.arange(2), 1, True)
    assert (t.reward.dtype, bool(t.terminated), bool(t.truncated), t.info) == (jnp.float32, True, False, {})
    t = transition_step(jnp.arange(2), 1, 0, 1, {"a": 3})
    assert (bool(t.terminated), bool(t.truncated), t.info) == (False, True, {"a": 3})
    assert t.truncated.dtype == t.terminated.dtype == bool and t.observation is t.next_observation


def test_an_end_is_that_of_the_agents_of_its_own_environment(key):
    """Two environments of three agents, of which the second terminates and the first is cut off."""

    def step(number, action, key):
        rewards = 10.0 * number + jnp.arange(3)
        timestep = transition_step(rewards[:, None], 0.0, number == 1, number == 0, {"number": number})
        return number, timestep._replace(reward=rewards)

    box = spaces.Box(-9, 99, (1,), np.float32)
    env = Environment("team", box, box, lambda key: (0, jnp.zeros((3, 1))), step, num_agents=3)
    keys = jax.random.split(key, 6)
    assert reset_rows(env, keys)[1].shape == (6, 1)
    t = step_rows(env, jnp.arange(2), jnp.zeros((6, 1)), keys)[1]
    np.testing.assert_array_equal(t.terminated, [False] * 3 + [True] * 3)
    np.testing.assert_array_equal(t.truncated, [True] * 3 + [False] * 3)
    np.testing.assert_array_equal(t.info["number"], [0, 0, 0, 1, 1, 1])
    np.testing.assert_array_equal(t.reward, [0, 1, 2, 10, 11, 12])
    np.testing.assert_array_equal(t.next_observation[:, 0], t.reward)
