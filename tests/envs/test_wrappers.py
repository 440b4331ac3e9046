import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

from jaxrl.envs import (
    Environment,
    auto_reset,
    episode_statistics,
    flatten_observation,
    for_training,
    make,
    raw_actions,
    rescale_action,
    select_observation,
    time_limit,
    transition_step,
    unit_actions,
)


def play(env, steps, key):
    """Step with action 0 and return the time steps, stacked."""
    reset_key, step_key = jax.random.split(key)

    def step(state, key):
        return env.step(state, 0, key)

    return jax.device_get(jax.lax.scan(step, env.reset(reset_key)[0], jax.random.split(step_key, steps))[1])


def test_time_limit_truncates(counting, key):
    env = time_limit(counting(length=10), 3)
    timesteps = play(env, 4, key)
    assert env.max_episode_steps == 3
    assert timesteps.truncated.tolist() == [False, False, True, True]
    assert not timesteps.terminated.any()


def test_a_termination_at_the_limit_is_no_truncation(counting, key):
    timesteps = play(time_limit(counting(length=3), 3), 3, key)
    assert timesteps.terminated.tolist() == [False, False, True]
    assert not timesteps.truncated.any()


def test_the_shorter_of_two_limits_counts(counting):
    assert time_limit(counting(limit=5), 7).max_episode_steps == 5
    assert time_limit(counting(limit=7), 5).max_episode_steps == 5


def test_auto_reset_keeps_the_true_final_observation(counting, key):
    timesteps = play(auto_reset(counting(length=3)), 7, key)
    counts = np.floor(timesteps.next_observation[:, 0])
    assert counts.tolist() == [1, 2, 3, 1, 2, 3, 1]
    ended = timesteps.terminated
    assert ended.tolist() == [False, False, True, False, False, True, False]
    np.testing.assert_array_equal(np.floor(timesteps.observation[ended]), 0)
    np.testing.assert_array_equal(timesteps.observation[~ended], timesteps.next_observation[~ended])
    starts = timesteps.observation[ended, 0]
    assert starts[0] != starts[1], "each episode starts from a key of its own"


def test_the_state_after_an_end_is_the_new_episodes(counting, key):
    timesteps = play(auto_reset(counting(length=2)), 4, key)
    np.testing.assert_allclose(timesteps.next_observation[2], timesteps.observation[1] + 1, rtol=1e-6)


def test_auto_reset_chooses_between_states_with_keys(counting, key):
    env = counting(length=2)
    with_key = dataclasses.replace(
        env,
        reset=lambda key: ((env.reset(key)[0], key), env.reset(key)[1]),
        step=lambda state, action, key: (lambda new, t: ((new, state[1]), t))(*env.step(state[0], action, key)),
    )
    timesteps = play(auto_reset(with_key), 5, key)
    assert timesteps.terminated.tolist() == [False, True, False, True, False]


def test_statistics_are_of_the_raw_reward(counting, key):
    env = for_training(counting(length=3), reward_transform=jnp.sign)
    timesteps = play(env, 7, key)
    assert timesteps.reward.tolist() == [1.0] * 7
    assert timesteps.info["episode_return"].tolist() == [2, 4, 6, 2, 4, 6, 2]
    assert timesteps.info["episode_length"].tolist() == [1, 2, 3, 1, 2, 3, 1]


def test_statistics_have_fixed_dtypes(counting, key):
    info = play(episode_statistics(counting()), 2, key).info
    assert info["episode_return"].dtype == np.float32
    assert info["episode_length"].dtype == np.int32


def test_flatten_observation(key):
    space = spaces.Dict(
        {
            "frame": spaces.Box(0, 255, (2, 2), np.uint8),
            "pair": spaces.Tuple((spaces.Discrete(3, start=1), spaces.Box(-1, 1, (2,)))),
        }
    )
    observation = {"frame": jnp.full((2, 2), 51, jnp.uint8), "pair": (jnp.int32(3), jnp.array([0.5, -0.5]))}
    env = Environment(
        "nested", space, spaces.Discrete(2),
        reset=lambda key: (jnp.zeros(()), observation),
        step=lambda state, action, key: (state, transition_step(observation, 0.0, False)),
    )  # fmt: skip
    flat = flatten_observation(env)
    expected = [0.2, 0.2, 0.2, 0.2, 0, 0, 1, 0.5, -0.5]
    assert flat.observation_space.shape == (9,)
    np.testing.assert_allclose(flat.reset(key)[1], expected, rtol=1e-6)
    timestep = flat.step(flat.reset(key)[0], 0, key)[1]
    np.testing.assert_allclose(timestep.observation, expected, rtol=1e-6)
    np.testing.assert_allclose(timestep.next_observation, expected, rtol=1e-6)


BOX = spaces.Box(np.array([-1, 0, -np.inf, 0], np.float32), np.array([3, 10, np.inf, np.inf], np.float32))


@pytest.mark.parametrize("array", [np.array, jnp.array])
@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ([0, 0, 5, 5], [1, 5, 5, 5]),
        ([-1, -1, -5, -5], [-1, 0, -5, 0]),  # the last dimension is bounded below only
        ([1, 0.5, 0, 0], [3, 7.5, 0, 0]),
        ([9, -9, 9, 0], [3, 0, 9, 0]),
    ],
)
def test_actions_are_rescaled_to_asymmetric_bounds(array, action, expected):
    space, to_bounds = unit_actions(BOX)
    np.testing.assert_array_equal(space.low, np.array([-1, -1, -np.inf, 0], np.float32))
    np.testing.assert_array_equal(space.high, np.array([1, 1, np.inf, np.inf], np.float32))
    out = to_bounds(array(action, np.float32))
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, np.array(expected, np.float32), rtol=1e-6)


def test_rescaled_actions_never_leave_the_bounds():
    rng = np.random.default_rng(0)
    low = rng.normal(size=200).astype(np.float32)
    space = spaces.Box(low, low + rng.uniform(0.1, 3, 200).astype(np.float32))
    _, to_bounds = unit_actions(space)
    for action in (-1.0, 1.0):
        assert space.contains(to_bounds(np.full(200, action, np.float32)))


def test_discrete_actions_are_counted_from_zero(key):
    space, to_start = unit_actions(spaces.Discrete(3, start=2))
    assert (space, to_start(1)) == (spaces.Discrete(3), 3)
    space, to_start = unit_actions(spaces.MultiDiscrete([2, 3], start=[1, -1]))
    assert space == spaces.MultiDiscrete([2, 3])
    np.testing.assert_array_equal(to_start(np.array([1, 0])), [2, -1])
    for space in (spaces.Discrete(3), spaces.MultiDiscrete([2, 3]), spaces.MultiBinary(2)):
        assert unit_actions(space)[0] is space


def test_rescale_action_of_an_environment(counting, key):
    env = counting()
    seen = dataclasses.replace(
        env, action_space=BOX, step=lambda state, action, key: (state, transition_step(jnp.zeros(1), action[1], False))
    )
    assert rescale_action(seen).step(env.reset(key)[0], jnp.zeros(4), key)[1].reward == 5.0


def test_raw_actions_reach_the_environment_as_they_are(counting, key):
    env = dataclasses.replace(
        counting(), action_space=spaces.Dict(a=BOX, b=spaces.Tuple([spaces.Discrete(3)])),
        step=lambda state, action, key: (state, transition_step(action["a"], 0.0, False)),
    )  # fmt: skip
    raw = rescale_action(raw_actions(env))
    assert raw.action_space == spaces.Dict(a=spaces.Box(-np.inf, np.inf, (4,)), b=spaces.Tuple([spaces.Discrete(3)]))
    action = jnp.array([9.0, -9.0, 5.0, -5.0])
    state = env.reset(key)[0]
    np.testing.assert_array_equal(raw.step(state, {"a": action, "b": (1,)}, key)[1].observation, action)
    clipped = rescale_action(env).step(state, {"a": action, "b": (1,)}, key)[1].observation
    np.testing.assert_array_equal(clipped, [3.0, 0.0, 5.0, 0.0])


def test_only_some_numbers_of_a_vector_are_shown(key):
    whole, env = make("CartPole-v1"), select_observation(make("CartPole-v1"), (2, 0))
    state, observation = env.reset(key)
    np.testing.assert_array_equal(observation, whole.reset(key)[1][np.array([2, 0])])
    timestep = env.step(state, jnp.array(1), key)[1]
    want = whole.step(state, jnp.array(1), key)[1]
    np.testing.assert_array_equal(timestep.next_observation, want.next_observation[np.array([2, 0])])
    assert env.observation_space.shape == timestep.observation.shape == (2,)
    with pytest.raises(ValueError, match="must be a vector"):
        select_observation(make("Breakout-MinAtar"), (0,))


def test_the_parts_of_a_product_of_actions_are_rescaled():
    parts = {"a": spaces.Box(0, 4, (1,)), "b": spaces.Tuple([spaces.Discrete(3, start=2), spaces.MultiBinary(2)])}
    unit, to_bounds = unit_actions(spaces.Dict(parts))
    assert unit["a"] == spaces.Box(-1, 1, (1,), np.float32)
    assert unit["b"][0] == spaces.Discrete(3)
    action = to_bounds({"a": np.array([0.5], np.float32), "b": (np.array(1), np.array([0, 1]))})
    np.testing.assert_allclose(action["a"], [3.0])
    assert action["b"][0] == 3
    np.testing.assert_array_equal(action["b"][1], [0, 1])


def random_numbers():
    """Starts at a random number, steps to another and gets a third, which are those of the keys; cut off at once."""

    def step(state, action, key):
        number = jax.random.uniform(key)
        return number, transition_step(number[None], number, False, True)

    def reset(key):
        return jax.random.uniform(key), jax.random.uniform(key)[None]

    space = spaces.Box(0, 1, (1,), np.float32)
    return Environment("random numbers", space, spaces.Discrete(2), reset, step)


def test_a_step_and_the_reset_after_it_have_keys_of_their_own(key):
    state, timestep = auto_reset(random_numbers()).step(jnp.float32(0), 0, key)
    assert len({float(timestep.reward), float(timestep.observation[0]), float(jax.random.uniform(key))}) == 3
    assert state == timestep.observation[0] != timestep.next_observation[0]


def test_training_reports_the_raw_reward_and_learns_from_the_transformed(counting, key):
    env = for_training(counting(), reward_transform=lambda reward: -10 * reward)
    _, timestep = env.step(env.reset(key)[0], 0, key)
    assert (timestep.reward, timestep.info["episode_return"], timestep.info["episode_length"]) == (-20, 2, 1)


def test_either_of_two_limits_truncates(counting, key):
    for env in (time_limit(time_limit(counting(9), 2), 4), time_limit(time_limit(counting(9), 4), 2)):
        np.testing.assert_array_equal(play(env, 2, key).truncated, [False, True])


@pytest.mark.parametrize("wrap", [flatten_observation, lambda env: select_observation(env, (0,))])
def test_the_true_successor_survives_a_wrapper_outside_of_the_reset(counting, key, wrap):
    inner, outer = (play(env, 3, key) for env in (auto_reset(counting(2)), wrap(auto_reset(counting(2)))))
    np.testing.assert_allclose(outer.next_observation, inner.next_observation)
    np.testing.assert_allclose(outer.observation, inner.observation)
    assert outer.next_observation[1, 0] >= 2 > outer.observation[1, 0]
