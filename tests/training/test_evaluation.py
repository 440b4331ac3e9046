"""Evaluation by an agent whose actions say what it was given."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces

from jaxrl import training
from jaxrl.counters import Counter
from jaxrl.envs.environment import Environment, transition_step
from jaxrl.training.evaluation import evaluate
from jaxrl.training.iterations import TrainState
from jaxrl.types import Algorithm, OnPolicy

N = 8


def of_random_length():
    """Episodes of 2 to 6 steps; those of an odd length terminate, the others are cut off. Rewards are the actions."""

    def reset(key):
        length = jax.random.randint(key, (), 2, 7)
        return (length, jnp.int32(0)), length[None].astype(float)

    def step(state, action, key):
        length, count = state[0], state[1] + 1
        odd, over = length % 2 == 1, count >= length
        return (length, count), transition_step(length[None].astype(float), action[0], over & odd, over & ~odd)

    box = spaces.Box(-np.inf, np.inf, (1,), np.float32)
    return Environment("random length", box, box, reset, step)


def telling(of):
    """An agent whose action is ``of(policy, carry, key, explore)``; its recurrent state counts steps."""

    def act(policy, observation, carry, key, hp, explore=True):
        action = jnp.broadcast_to(of(policy, carry, key, explore), carry.shape)
        return action[:, None].astype(jnp.float32), carry + 1, {}

    return Algorithm(
        name="telling", spec=of_random_length().spec, config=None, hyperparameters=None, feed=OnPolicy(1, 1),
        init=lambda key, hp: {"acting": jnp.float32(1), "averaged": jnp.float32(5)},
        policy=lambda state: state["acting"], act=act, update=None, value=None,
        initial_carry=lambda n: jnp.zeros(n), evaluation_policy=lambda state: state["averaged"],
    )  # fmt: skip


def play(of, key, **how):
    agent, env = telling(of), of_random_length()
    return jax.jit(lambda key: evaluate(agent, env, 3.0, key, None, num_episodes=N, **how))(key)


def lengths(key):
    keys = jax.random.split(jax.random.split(key)[0], N)
    return np.asarray(jax.vmap(of_random_length().reset)(keys)[1][:, 0])


def test_each_counts_its_first_episode_alone_with_its_recurrent_state(key):
    expected = lengths(key)
    assert len(set(expected % 2)) == 2 and expected.min() < expected.max()
    got = play(lambda policy, carry, key, explore: policy + carry, key)
    np.testing.assert_array_equal(got.episode_length, expected)
    np.testing.assert_array_equal(got.episode_return, 3 * expected + expected * (expected - 1) / 2)
    assert got.finished.all() and got.mean_return == np.mean(got.episode_return)


def test_what_takes_too_long_is_cut_off(key):
    got = play(lambda *_: jnp.float32(1), key, max_steps=3)
    np.testing.assert_array_equal(got.episode_length, np.minimum(lengths(key), 3))
    np.testing.assert_array_equal(got.finished, lengths(key) <= 3)


def test_it_explores_only_if_asked_and_with_a_key_for_each_step(key):
    of = lambda policy, carry, key, explore: jax.random.uniform(key) if explore else jnp.float32(-1)
    got = play(of, key, max_steps=2)
    np.testing.assert_array_equal(got.episode_return, [-2] * N)
    one, two = (play(of, key, max_steps=n, deterministic=False).episode_return for n in (1, 2))
    assert np.all(one > 0) and not np.any(np.isclose(two, 2 * one))


def test_a_run_evaluates_the_policy_that_is_meant_for_it(key):
    agent = telling(lambda policy, *_: policy)
    train = training.make_train(agent, dataclasses.replace(of_random_length(), max_episode_steps=6), 10)
    state = TrainState(agent.init(key, None), (), (), key, Counter.zero())
    got = jax.jit(lambda state: train.evaluate(state, num_episodes=N))(state)
    np.testing.assert_array_equal(got.episode_return, 5 * got.episode_length)
