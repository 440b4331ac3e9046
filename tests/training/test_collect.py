import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces
from scipy import stats

from jaxrl.envs.environment import Environment, transition_step
from jaxrl.envs.wrappers import for_training
from jaxrl.training.collect import act_and_env_keys, at_random, reset_actors, reset_carry, step_actors, with_policy
from jaxrl.types import Algorithm, OnPolicy

NUM_ENVS = 5
FINISH, GO_ON = 1, 0


def _corridor(action_space=spaces.Discrete(2)):
    """Observe ``[episode's number, steps so far]``. The action FINISH terminates; the third step is cut off."""

    def reset(key):
        observation = jnp.stack([jax.random.uniform(key), 0.0])
        return observation, observation

    def step(observation, action, key):
        observation = observation + jnp.array([0.0, 1.0])
        terminated = action == FINISH
        truncated = (observation[1] >= 3) & ~terminated
        return observation, transition_step(observation, jax.random.uniform(key), terminated, truncated)

    space = spaces.Box(0, 10, (2,), np.float32)
    return Environment("corridor", space, action_space, reset, step)


def _agent(env, act=None):
    """An agent whose recurrent state counts its steps, from 100 on."""
    return Algorithm(
        name="counting",
        spec=env.spec,
        config=None,
        hyperparameters=None,
        feed=OnPolicy(NUM_ENVS, 1),
        init=lambda key, hp: (),
        policy=lambda state: (),
        act=act,
        update=lambda state, batch, key, hp: (state, None),
        value=None,
        initial_carry=lambda n: {"count": jnp.full((n,), 100), "table": jnp.zeros((n, 2, 2))},
    )


RAW = _corridor()
ENV = for_training(RAW)
AGENT = _agent(RAW)


def _choose_by(actions):
    """Take these actions; report what was seen."""

    def choose(observation, carry, key):
        seen = {"observation": observation, "count": carry["count"], "noise": jax.random.uniform(key)}
        return actions, jax.tree.map(lambda x: x + 1, carry), seen

    return choose


@jax.jit
def _step(actors, key, actions):
    return step_actors(AGENT, ENV, actors, key, _choose_by(actions))


@pytest.fixture
def actors(key):
    return jax.jit(lambda key: reset_actors(AGENT, ENV, NUM_ENVS, key))(key)


def test_every_environment_starts_an_episode_of_its_own(actors):
    assert actors.observation.shape == (NUM_ENVS, 2)
    assert len(set(actors.observation[:, 0].tolist())) == NUM_ENVS
    np.testing.assert_array_equal(actors.carry["count"], np.full(NUM_ENVS, 100))


def test_a_transition_is_what_was_seen_and_done_and_what_came_of_it(actors, key):
    # Environment 0 finishes at once, 1 at the last step, 2 never does, and is cut off.
    plan = jnp.array([[1, 0, 0, 0, 0], [0, 0, 0, 0, 1], [0, 1, 0, 0, 0], [0, 0, 0, 0, 0]])
    length = np.zeros(NUM_ENVS)
    for t, actions in enumerate(plan):
        before = actors.observation
        actors, transition, extras, timestep = _step(actors, jax.random.fold_in(key, t), actions)
        length += 1
        terminated = np.asarray(actions) == FINISH
        truncated = (length == 3) & ~terminated
        ended = terminated | truncated

        np.testing.assert_array_equal(transition.observation, before)
        np.testing.assert_array_equal(extras["observation"], before)
        np.testing.assert_array_equal(transition.action, actions)
        np.testing.assert_array_equal(transition.terminated, terminated)
        np.testing.assert_array_equal(transition.truncated, truncated)
        np.testing.assert_array_equal(transition.reward, timestep.reward)
        # The true successor belongs to the same episode, even where the environment has been reset.
        np.testing.assert_array_equal(transition.next_observation[:, 0], before[:, 0])
        np.testing.assert_array_equal(transition.next_observation[:, 1], before[:, 1] + 1)
        # What to act on next is the successor, or the start of another episode.
        same = np.all(actors.observation == transition.next_observation, axis=1)
        np.testing.assert_array_equal(same, ~ended)
        np.testing.assert_array_equal(actors.observation[:, 1], np.where(ended, 0, length))
        np.testing.assert_array_equal(timestep.info["episode_length"], length)
        length[ended] = 0


def test_the_carry_starts_anew_with_the_episode_neither_early_nor_late(actors, key):
    seen = []
    for t in range(7):
        actions = jnp.where(jnp.arange(NUM_ENVS) == 0, t == 1, GO_ON)
        actors, _, extras, _ = _step(actors, jax.random.fold_in(key, t), actions)
        seen.append(extras["count"])
    # Environment 0 finishes its second step; all others are cut off after three.
    np.testing.assert_array_equal([s[0] - 100 for s in seen], [0, 1, 0, 1, 2, 0, 1])
    for b in range(1, NUM_ENVS):
        np.testing.assert_array_equal([s[b] - 100 for s in seen], [0, 1, 2, 0, 1, 2, 0])


def test_reset_carry_by_hand():
    done = jnp.array([True, False, True, False, False])
    carry = {"count": jnp.arange(5), "table": jnp.ones((5, 2, 2))}
    got = jax.jit(lambda c, d: reset_carry(AGENT, c, d))(carry, done)
    np.testing.assert_array_equal(got["count"], [100, 1, 100, 3, 4])
    np.testing.assert_array_equal(got["table"][:, 0, 0], [0, 1, 0, 1, 1])
    np.testing.assert_array_equal(got["table"][:, 1, 1], [0, 1, 0, 1, 1])


def test_a_carry_may_go_on_from_one_episode_to_the_next():
    carry = {"count": jnp.arange(5), "table": jnp.ones((5, 2, 2))}
    goes_on = dataclasses.replace(AGENT, reset_carry=False)
    assert reset_carry(goes_on, carry, jnp.ones(5, bool)) is carry


def test_a_feed_forward_agent_carries_nothing():
    assert reset_carry(AGENT, (), jnp.array([True])) == ()


def test_no_two_random_numbers_of_a_step_share_a_key(key):
    act_key, env_keys = act_and_env_keys(key, NUM_ENVS)
    assert env_keys.shape == (NUM_ENVS,)
    keys = [jax.random.key_data(k).tolist() for k in (key, act_key, *env_keys)]
    assert len({tuple(k) for k in keys}) == NUM_ENVS + 2


def test_a_step_depends_on_its_key_alone(actors, key):
    go_on = jnp.zeros(NUM_ENVS, jnp.int32)
    first, again, other = (_step(actors, k, go_on) for k in (key, key, jax.random.key(1)))
    jax.tree.map(np.testing.assert_array_equal, first[1:], again[1:])
    rewards = np.concatenate([first[1].reward, other[1].reward])
    assert len(set(rewards.tolist())) == 2 * NUM_ENVS
    assert first[2]["noise"] != other[2]["noise"]


def test_with_policy_explores(key):
    def act(policy, observation, carry, key, hp, explore=False):
        assert explore is True
        return policy + hp + observation, carry, {"key": key}

    action, carry, extras = with_policy(_agent(RAW, act), 1, 20)(300, "carry", key)
    assert (action, carry) == (321, "carry")
    assert extras["key"] is key


@pytest.mark.parametrize("space", [spaces.Discrete(4), spaces.Discrete(4, start=-7)])
def test_random_discrete_actions_count_from_zero(key, space):
    choose = at_random(_agent(_corridor(space)))
    action, carry, extras = choose(jnp.zeros((4000, 2)), "carry", key)
    assert (carry, extras) == ("carry", {})
    values, counts = np.unique(action, return_counts=True)
    np.testing.assert_array_equal(values, [0, 1, 2, 3])
    assert stats.chisquare(counts).pvalue > 1e-3


def test_random_continuous_actions_fill_the_unit_interval_in_every_dimension(key):
    choose = at_random(
        _agent(_corridor(spaces.Box(np.array([-3.0, 5.0], np.float32), np.array([1.0, 7.0], np.float32))))
    )
    action = np.asarray(choose({"a": jnp.zeros((4000, 2))}, (), key)[0])
    assert action.shape == (4000, 2)
    for column in action.T:
        assert stats.kstest(column, "uniform", args=(-1, 2)).pvalue > 1e-3
    assert abs(np.corrcoef(action.T)[0, 1]) < 0.05


def test_random_actions_are_those_that_the_mask_allows(key):
    space = spaces.Dict(action_mask=spaces.MultiBinary(4), x=spaces.Box(0, 1, (1,)))
    choose = at_random(_agent(dataclasses.replace(_corridor(spaces.Discrete(4)), observation_space=space)))
    allowed = jnp.tile(jnp.array([[1, 0, 1, 0], [0, 0, 0, 1]], jnp.int8), (500, 1))
    action = np.asarray(choose({"action_mask": allowed, "x": jnp.zeros((1000, 1))}, (), key)[0])
    assert set(action[::2].tolist()) == {0, 2} and set(action[1::2].tolist()) == {3}
