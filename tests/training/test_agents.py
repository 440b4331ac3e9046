"""Environments of several agents: each is a row of the batch."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

from jaxrl import training
from jaxrl.algorithms import dqn
from jaxrl.envs import auto_reset, check, episode_statistics, flatten_observation, select_observation, time_limit, toys
from jaxrl.envs.environment import Environment, reset_rows, step_rows, transition_step
from jaxrl.observations import PRIVILEGED

AGENTS, ENVS = 3, 2
ROWS = AGENTS * ENVS


def counting():
    """Agents at places of their own, which their actions move; rewards are the places. Three steps."""

    def reset(key):
        places = jax.random.randint(key, (AGENTS,), 0, 100)
        return (places, jnp.int32(0)), observe(places)

    def observe(places):
        return jnp.stack([places, jnp.arange(AGENTS)], axis=1).astype(jnp.float32)

    def step(state, action, key):
        places, t = state[0] + action, state[1] + 1
        timestep = transition_step(observe(places), places, t == 3, info={"time": t})
        return (places, t), timestep

    space = spaces.Box(0, np.inf, (2,), np.float32)
    return Environment("counting", space, spaces.Discrete(5), reset, step, max_episode_steps=3, num_agents=AGENTS)


def test_rows_are_the_agents_of_one_environment_after_those_of_another(key):
    env = auto_reset(episode_statistics(counting()))
    keys = jax.random.split(key, ROWS)
    state, first = reset_rows(env, keys)
    assert first.shape == (ROWS, 2)
    np.testing.assert_array_equal(first[:, 1], [0, 1, 2, 0, 1, 2])
    np.testing.assert_array_equal(first[:AGENTS], env.reset(keys[0])[1])
    np.testing.assert_array_equal(first[AGENTS:], env.reset(keys[AGENTS])[1])
    places, sums = np.asarray(first[:, 0]), np.zeros(ROWS)
    for t in range(1, 4):
        action = jnp.arange(ROWS) % 5
        state, timestep = step_rows(env, state, action, jax.random.split(jax.random.fold_in(key, t), ROWS))
        places = places + np.asarray(action)
        sums += places
        np.testing.assert_array_equal(timestep.next_observation[:, 0], places)
        np.testing.assert_array_equal(timestep.reward, places)
        np.testing.assert_array_equal(timestep.terminated, [t == 3] * ROWS)
        np.testing.assert_array_equal(timestep.info["episode_return"], sums)
        np.testing.assert_array_equal(timestep.info["episode_length"], [t] * ROWS)
        np.testing.assert_array_equal(timestep.info["time"], [t] * ROWS)
    # A new episode has begun for all.
    assert (np.asarray(timestep.observation[:, 0]) != places).any()
    assert timestep.observation.shape == (ROWS, 2)


def test_rows_of_half_an_environment_are_refused(key):
    with pytest.raises(ValueError, match="4 rows are no multiple of the 3 agents of counting"):
        reset_rows(counting(), jax.random.split(key, 4))


@pytest.mark.parametrize(
    "env",
    [
        counting(),
        time_limit(counting(), 2),
        flatten_observation(toys.team(3, True)),
        select_observation(counting(), [1]),
    ],
)
def test_the_contract(env):
    assert check(env).episodes > 0


def test_a_contract_with_rewards_of_one_agent_is_broken():
    env = toys.team()
    broken = lambda state, action, key: (state, env.step(state, action, key)[1]._replace(reward=jnp.float32(0)))
    with pytest.raises(AssertionError, match=r"step returned reward of shape \(\): it must be \(2,\)"):
        check(dataclasses.replace(env, step=broken))


def test_the_critic_of_a_team_sees_its_own_sign_first(key):
    _, observation = toys.team(3, privileged=True).reset(key)
    own = np.asarray(observation["own"][:, 0])
    for i in range(3):
        np.testing.assert_array_equal(observation[PRIVILEGED][i], np.roll(own, -i))


def test_replay_and_evaluation_of_agents(key):
    env = toys.team(3)
    config = dqn.Config(
        num_envs=6, hidden_sizes=(16,), buffer_size=600, batch_size=32, prefill=60, prioritized=True, n_step=2
    )
    agent = dqn.make(env.spec, config)
    hp = dqn.Hyperparameters(learning_rate=1e-2, epsilon=0.2)
    train = training.make_train(agent, env, 2_400, num_intervals=2, eval_episodes=32)
    result = jax.jit(train)(key, hp)
    # Whole environments: 33 of 3 agents each.
    assert result.evaluation.episode_return.shape == (33,)
    assert float(result.evaluation.mean_return) >= 0.95
