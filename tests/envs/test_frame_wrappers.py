import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

from jaxrl import envs, training
from jaxrl.algorithms import dqn
from jaxrl.envs import Environment, frame_skip, frame_stack, no_op_start, sticky_actions, time_limit, transition_step


def told(length=100):
    """Observes ``[steps, -steps, last action]``, gets its steps as a reward, and ends after ``length`` of them."""
    observed = lambda steps, action: jnp.stack([steps, -steps, action]).astype(jnp.float32)

    def step(state, action, key):
        steps = state + 1
        return steps, transition_step(observed(steps, action), steps, steps >= length)

    box = spaces.Box(-np.inf, np.inf, (3,), np.float32)
    reset = lambda key: (jnp.int32(0), observed(jnp.int32(0), jnp.int32(0)))
    return Environment("told", box, spaces.Discrete(3), reset, step, length)


def play(env, actions, key):
    state, observation = env.reset(key)
    step = lambda state, x: env.step(state, *x)
    keys = jax.random.split(key, len(actions))
    return observation, jax.lax.scan(step, state, (jnp.asarray(actions), keys))[1]


def test_stacks_begin_with_zeros_and_end_with_the_newest(key):
    env = frame_stack(told(), 3)
    first, timesteps = play(env, [1, 2, 1], key)
    np.testing.assert_array_equal(first, [0] * 9)
    np.testing.assert_array_equal(timesteps.observation[0], [0, 0, 0, 0, 0, 0, 1, -1, 1])
    np.testing.assert_array_equal(timesteps.next_observation[2], [1, -1, 1, 2, -2, 2, 3, -3, 1])
    assert env.spec.frame_stack == 3 and env.observation_space.shape == (9,)
    assert envs.flatten_observation(env).spec.frame_stack == 0
    with pytest.raises(ValueError, match="must be one array"):
        frame_stack(Environment("discrete", spaces.Discrete(2), spaces.Discrete(2), None, None), 2)


def test_a_skip_adds_rewards_up_and_stops_where_the_episode_does(key):
    env = frame_skip(told(length=5), 3)
    _, timesteps = play(env, [1, 2], key)
    np.testing.assert_array_equal(timesteps.reward, [1 + 2 + 3, 4 + 5])
    np.testing.assert_array_equal(timesteps.terminated, [False, True])
    np.testing.assert_array_equal(timesteps.observation[1], [5, -5, 2])
    assert env.max_episode_steps == 2
    _, timesteps = play(frame_skip(told(length=5), 3, maximum=True), [1, 2], key)
    np.testing.assert_array_equal(timesteps.next_observation, [[3, -2, 1], [5, -4, 2]])


def test_sticky_actions_take_the_one_before(key):
    actions = np.random.default_rng(0).integers(1, 3, 2000)
    taken = play(sticky_actions(told(10_000), 0.25), actions, key)[1].observation[:, 2]
    before = np.concatenate([[0], taken[:-1]])
    assert np.all((taken == actions) | (taken == before))
    differs = actions != before
    assert abs(np.mean(taken[differs] == before[differs]) - 0.25) < 0.04
    np.testing.assert_array_equal(play(sticky_actions(told(), 1.0), [2, 2], key)[1].observation[:, 2], [0, 0])
    np.testing.assert_array_equal(play(sticky_actions(told(), 0.0), [2, 1], key)[1].observation[:, 2], [2, 1])


def test_no_op_starts_wait_up_to_the_most(key):
    env = no_op_start(told(), 4)
    counts = jax.vmap(lambda key: env.reset(key)[1][0])(jax.random.split(key, 200))
    assert set(np.asarray(counts).tolist()) == {1, 2, 3, 4}
    again = jax.vmap(lambda key: no_op_start(told(length=2), 5).reset(key)[1][0])(jax.random.split(key, 50))
    assert set(np.asarray(again).tolist()) == {0, 1}


def test_the_contract_is_kept_and_replay_stores_frames_once(key):
    env = time_limit(frame_stack(sticky_actions(frame_skip(no_op_start(told(), 3), 2), 0.25), 4), 10)
    assert not envs.check(env).warnings
    config = dqn.Config(num_envs=2, hidden_sizes=(8,), batch_size=8, buffer_size=256, prefill=16)
    agent = dqn.make(env.spec, config)
    plain = dqn.make(env.spec, dqn.Config(**{**vars(config), "frame_stack": 0}))
    assert agent.feed.buffer.nbytes < plain.feed.buffer.nbytes
    out = jax.jit(training.make_train(agent, env, 64, num_intervals=1, eval_episodes=2))(key, agent.hyperparameters)
    assert np.isfinite(out.evaluation.episode_return).all()


def drawn():
    """A state and observation of the numbers that the keys of the steps gave, and of the actions taken."""

    def step(state, action, key):
        count, numbers = state
        numbers = numbers.at[count].set(jax.random.uniform(key))
        return (count + 1, numbers), transition_step(jnp.append(numbers, action), 1.0, False)

    box = spaces.Box(-np.inf, np.inf, (9,), np.float32)
    reset = lambda key: ((0, jnp.zeros(8)), jnp.zeros(9))
    return Environment("drawn", box, spaces.Discrete(3), reset, step)


def test_every_skipped_step_has_a_key_of_its_own(key):
    numbers = play(frame_skip(drawn(), 4), [1, 1], key)[1].observation[-1, :8]
    assert len(set(np.asarray(numbers).tolist())) == 8


def test_what_sticks_does_not_depend_on_what_the_step_draws(key):
    def one(key):
        env = sticky_actions(drawn(), 0.5)
        observation = env.step(env.reset(key)[0], jnp.int32(2), key)[1].observation
        return observation[0], observation[8]

    number, taken = jax.jit(jax.vmap(one))(jax.random.split(key, 1000))
    assert abs(np.mean(number[taken == 0]) - 0.5) < 0.06 and abs(np.mean(taken == 0) - 0.5) < 0.08


def test_a_skip_stops_at_a_truncation_and_a_stack_moves_by_whole_frames(key):
    _, timesteps = play(frame_skip(time_limit(told(), 5), 3), [1, 2], key)
    np.testing.assert_array_equal(timesteps.reward, [1 + 2 + 3, 4 + 5])
    np.testing.assert_array_equal(timesteps.truncated, [False, True])
    _, timesteps = play(frame_stack(told(), 2), [1, 2, 1], key)
    np.testing.assert_array_equal(timesteps.observation[2], [2, -2, 2, 3, -3, 1])


def test_the_first_sticky_action_is_one_of_the_space(key):
    space = spaces.Dict(a=spaces.Box(1, 2, (1,)), b=spaces.Discrete(3, start=5), c=spaces.Box(-np.inf, -1, (1,)))

    def step(state, action, key):
        return state, transition_step(jnp.stack([action["a"][0], action["b"], action["c"][0]]), 0.0, False)

    env = dataclasses.replace(told(), action_space=space, step=step)
    sticky = sticky_actions(env, 1.0)
    given = {"a": jnp.array([2.0]), "b": jnp.int32(7), "c": jnp.array([-3.0])}
    seen = jax.jit(lambda key: sticky.step(sticky.reset(key)[0], given, key)[1].observation)(key)
    np.testing.assert_array_equal(seen, [1, 5, -1])


def test_the_first_stack_ends_with_the_first_observation(key):
    env = dataclasses.replace(told(), reset=lambda key: (jnp.int32(0), jnp.array([7.0, 8.0, 9.0])))
    first, timesteps = play(frame_stack(env, 2), [1], key)
    np.testing.assert_array_equal(first, [0, 0, 0, 7, 8, 9])
    np.testing.assert_array_equal(timesteps.observation[0], [7, 8, 9, 1, -1, 1])
