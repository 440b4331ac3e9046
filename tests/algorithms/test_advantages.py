"""Advantages and targets of the policy-gradient family, and its rollouts as sequences from stored states."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

from jaxrl import normalization
from jaxrl.algorithms import advantages, policy_value, ppo
from jaxrl.algorithms.policy_value import Policy
from jaxrl.types import Rollout, Spec, Transition

T, B = 8, 3
CONFIG = policy_value.Config(num_envs=B, rollout_length=T, hidden_sizes=(4,), rnn_size=3)


def spec_of(observation=None, action=None, **more):
    observation = spaces.Box(-9, 9, (2,), np.float32) if observation is None else observation
    return Spec("test", observation, spaces.Discrete(3) if action is None else action, **more)


def replaced(**changes):
    return dataclasses.replace(CONFIG, **changes)


def steps(rng, reward_shape=()):
    """Transitions in which the successor within an episode is the next observation."""
    observation, successor = rng.normal(size=(2, T, B, 2)).astype(np.float32)
    terminated, truncated = rng.random((T, B)) < 0.15, rng.random((T, B)) < 0.15
    terminated[2, 0], truncated[3, 1] = True, True
    inside = ~(terminated | truncated)[:-1]
    successor[:-1] = np.where(inside[..., None], observation[1:], successor[:-1])
    reward = rng.normal(size=(T, B, *reward_shape)).astype(np.float32)
    action = rng.integers(0, 3, (T, B))
    return Transition(observation, action, reward, terminated, truncated, successor)


@functools.partial(jax.jit, static_argnums=0)
def play(networks, policy, transitions, carry):
    """Act step by step as the loops do, and record what ``act`` does."""

    def step(carry, t):
        distribution, after = networks.act(policy, t.observation, carry)
        done = t.terminated | t.truncated
        zero = networks.initial_carry(B) if networks.config.rnn_reset else after
        after = jax.tree.map(lambda z, a: jnp.where(done[:, None], z, a), zero, after)
        return after, {"log_prob": distribution.log_prob(t.action), "carry": carry}

    return jax.lax.scan(step, carry, transitions)[1]


RECURRENT = {
    "both": {"actor_rnn": "lstm", "critic_rnn": "gru"},
    "actor": {"actor_rnn": "gru"},
    "shared": {"actor_rnn": "lstm", "critic_rnn": "lstm", "shared_torso": True},
    "before": {"actor_rnn": "gru", "critic_rnn": "gru", "rnn_before_mlp": True, "sequence_length": 4},
    "layers": {"actor_rnn": "lstm", "critic_rnn": "gru", "rnn_layers": 2, "rnn_concat_output": True},
    "goes on": {"actor_rnn": "gru", "critic_rnn": "gru", "rnn_reset": False, "sequence_length": 4},
    "critic": {"critic_rnn": "lstm", "rnn_layer_norm": True, "rnn_concat_input": True, "sequence_length": 2},
}


def test_an_episode_begins_after_an_end_and_after_a_dummy_step(rng):
    config = replaced(actor_rnn="gru")
    t = steps(rng)
    valid = np.ones((T, B), bool)
    valid[5, 2] = False
    got = advantages.begins(config, Rollout(t, {}, (), valid))
    want = np.zeros((T, B), bool)
    want[1:] = (t.terminated | t.truncated | ~valid)[:-1]
    np.testing.assert_array_equal(got, want)
    assert advantages.begins(CONFIG, Rollout(t, {}, (), valid)) is None


@pytest.mark.parametrize("kind", RECURRENT)
def test_sequences_from_stored_states_are_what_acting_did(rng, key, kind):
    config = replaced(**RECURRENT[kind])
    networks = policy_value.make_networks(spec_of(), config)
    params = jax.jit(networks.init)(key)
    policy, transitions = Policy(params, ()), steps(rng)
    carry = jax.tree.map(lambda x: x + 0.5, networks.initial_carry(B))
    extras = play(networks, policy, transitions, carry)
    rollout = Rollout(transitions, extras, carry)

    # A loop in which nothing is batched over time: carry the critic by hand, and look ahead from it.
    value, successor = [], []
    after = carry
    critic = jax.jit(lambda x, c: networks.stepwise(policy, x[None], jax.tree.map(lambda y: y[None], c)))
    for t in range(T):
        now = critic(transitions.observation[t], after)
        following = jax.tree.map(lambda x: x[0], now.carry)
        value.append(now.value[0])
        successor.append(critic(transitions.next_observation[t], following).value[0])
        done = (transitions.terminated | transitions.truncated)[t]
        done = done & config.rnn_reset
        after = jax.tree.map(lambda x, done=done: jnp.where(done[:, None], 0.0, x), following)

    @jax.jit
    def recomputed(rollout):
        got = advantages.values(networks, policy, rollout.transitions, rollout.extras["carry"])
        zeros = jnp.zeros((T, B))
        batch = advantages.batch_of(networks, rollout, advantages.Estimates(got[0], zeros, zeros))
        seen = advantages.steps_of(networks, batch)
        distribution, _, output, _ = networks.apply(policy, seen.observation, batch.carry, seen.begins)
        return got, distribution.log_prob(seen.action), seen.log_prob, output, seen.advantage

    got, log_prob, acted, output, expected = recomputed(rollout)
    np.testing.assert_allclose(got[0], np.stack(value), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(got[1], np.stack(successor), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(log_prob, acted, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(output, expected, rtol=1e-4, atol=1e-5)
    assert log_prob.shape == (config.sequence_length or T, B * T // (config.sequence_length or T))


def test_dummy_steps_of_a_host_environment_end_an_episode(rng):
    transitions, valid = steps(rng), np.ones((T, B), bool)
    valid[5, 2] = False
    rollout = Rollout(transitions, {}, (), valid)
    begins = np.asarray(advantages.begins(replaced(actor_rnn="gru"), rollout))
    done = transitions.terminated | transitions.truncated | ~valid
    np.testing.assert_array_equal(begins[1:], done[:-1])
    assert not begins[0].any()
    assert advantages.begins(replaced(actor_rnn="gru", rnn_reset=False), rollout) is None
    assert advantages.begins(CONFIG, rollout) is None


def test_estimates_of_vector_rewards_are_summed_over_them(rng, key):
    networks = policy_value.make_networks(spec_of(reward_shape=(2,)), CONFIG)
    params, transitions = networks.init(key), steps(rng, (2,))
    hp = ppo.Hyperparameters(discount=0.9, gae_lambda=0.8)
    got, _ = advantages.estimate(networks, params, networks.init_normalizers(), Rollout(transitions, {}, ()), hp)
    value, successor = advantages.values(networks, Policy(params, ()), transitions, ())
    assert value.shape == got.target.shape == (T, B, 2)
    want = np.zeros((B, 2))
    for t in reversed(range(T)):
        terminated, truncated = transitions.terminated[t][:, None], transitions.truncated[t][:, None]
        delta = transitions.reward[t] + 0.9 * np.where(terminated, 0, successor[t]) - value[t]
        want = delta + 0.9 * 0.8 * np.where(terminated | truncated, 0, want)
        np.testing.assert_allclose(got.advantage[t], want.sum(-1), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(got.target[t], want + value[t], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("to_go", [False, True])
def test_streams_of_rewards_have_their_own_discounts_weights_and_ends(rng, key, to_go):
    networks = policy_value.make_networks(spec_of(reward_shape=(2,)), CONFIG)
    params, transitions = networks.init(key), steps(rng, (2,))
    transitions.terminated[-1], transitions.truncated[-1] = [True, False, False], [False, True, False]
    hp = ppo.Hyperparameters(discount=0.1, gae_lambda=0.8)
    streams = advantages.Streams(jnp.array([0.9, 0.7]), jnp.array([2.0, 0.5]), (True, False))
    rollout, normalizers = Rollout(transitions, {}, ()), networks.init_normalizers()
    estimate = functools.partial(advantages.estimate, networks, params, normalizers, rollout, hp, reward_to_go=to_go)
    got, _ = estimate(streams=streams)
    value, successor = map(np.asarray, advantages.values(networks, Policy(params, ()), transitions, ()))
    want, ends = np.zeros((T, B, 2)), transitions.terminated | transitions.truncated
    total = np.array(successor[-1])
    last = np.zeros((B, 2))
    for t in reversed(range(T)):
        # The first ends with its episode.
        following = np.where(transitions.terminated[t], 0, successor[t, :, 0])
        delta = transitions.reward[t, :, 0] + 0.9 * following - value[t, :, 0]
        last[:, 0] = delta + 0.9 * 0.8 * np.where(ends[t], 0, last[:, 0])
        total[:, 0] = transitions.reward[t, :, 0] + 0.9 * np.where(ends[t], following, total[:, 0])
        # After the end of an episode the second has the next one's first observation before it.
        following = value[t + 1, :, 1] if t + 1 < T else successor[t, :, 1]
        following = np.where(ends[t], following, successor[t, :, 1])
        last[:, 1] = transitions.reward[t, :, 1] + 0.7 * following - value[t, :, 1] + 0.7 * 0.8 * last[:, 1]
        total[:, 1] = transitions.reward[t, :, 1] + 0.7 * total[:, 1]
        want[t] = last
        target = total if to_go else want[t] + value[t]
        np.testing.assert_allclose(got.target[t], target, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(got.advantage, want @ [2.0, 0.5], rtol=1e-4, atol=1e-5)
    if not to_go:
        alike = advantages.Streams(jnp.array([0.1, 0.1]), jnp.ones(2), (True, True))
        np.testing.assert_allclose(estimate(streams=alike)[0].advantage, estimate()[0].advantage, rtol=1e-6)


def test_monte_carlo_targets(rng, key):
    networks = policy_value.make_networks(spec_of(), CONFIG)
    params, transitions = networks.init(key), steps(rng)
    rollout, hp = Rollout(transitions, {}, ()), ppo.Hyperparameters(discount=0.9, gae_lambda=0.5)
    got, _ = advantages.estimate(networks, params, networks.init_normalizers(), rollout, hp, reward_to_go=True)
    _, successor = advantages.values(networks, Policy(params, ()), transitions, ())
    total = np.asarray(successor[-1])
    for t in reversed(range(T)):
        total = np.where(transitions.truncated[t], successor[t], total)
        total = transitions.reward[t] + 0.9 * np.where(transitions.terminated[t], 0, total)
        np.testing.assert_allclose(got.target[t], total, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(), (2,)])
def test_bootstrapping_from_the_current_value(rng, key, shape):
    networks = policy_value.make_networks(spec_of(reward_shape=shape), replaced(bootstrap="current_value"))
    policy, transitions = Policy(networks.init(key), ()), steps(rng, shape)
    value, successor = advantages.values(networks, policy, transitions, ())
    true = networks.critic(policy, transitions.next_observation, (), None)
    cut = transitions.truncated
    np.testing.assert_allclose(successor[cut], value[cut], rtol=1e-5)
    np.testing.assert_allclose(successor[~cut], true[~cut], rtol=1e-5)
    assert np.any(true[cut] != value[cut])


def test_normalised_rewards_observations_and_values(rng, key):
    config = replaced(normalize_observation=True, normalize_reward=True, normalize_value=True)
    networks = policy_value.make_networks(spec_of(), config)
    params, transitions = networks.init(key), steps(rng)
    before = networks.init_normalizers()._replace(sums=jnp.arange(3.0))
    rollout, hp = Rollout(transitions, {}, ()), ppo.Hyperparameters(discount=0.9, gae_lambda=0.5)
    got, after = advantages.estimate(networks, params, before, rollout, hp)

    total, sums = np.arange(3.0), []
    for t in range(T):
        total = 0.9 * total + transitions.reward[t]
        sums.append(total)
        total = np.where(transitions.terminated[t] | transitions.truncated[t], 0, total)
    scaled, _ = advantages.normalize_rewards(networks, before, rollout, 0.9)
    np.testing.assert_allclose(scaled, transitions.reward / np.std(sums), rtol=1e-4)
    np.testing.assert_allclose(after.sums, total, rtol=1e-5)
    flat = transitions.observation.reshape(-1, 2)
    np.testing.assert_allclose(after.observation.mean, flat.mean(0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(after.observation.variance, flat.var(0), rtol=1e-4)
    counts = [int(s.count.low) for s in (after.observation, after.reward, after.value)]
    assert counts == [T * B, T * B, 2 * T * B]
    # Before anything was seen the critic's outputs are values; its targets have mean 0 and deviation 1 with them.
    value, _ = advantages.values(networks, Policy(params, before.observation), transitions, ())
    target = normalization.undo(after.value, got.target)
    both = np.concatenate([np.ravel(value), np.ravel(target)])
    np.testing.assert_allclose(after.value.mean, both.mean(), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(after.value.variance, both.var(), rtol=1e-3)
    np.testing.assert_allclose(target - value, got.advantage, rtol=1e-3, atol=1e-4)


def test_running_moments_of_advantages(rng):
    # GeneralizedMovingStats of rl_games: moments m <- momentum m + (1 - momentum) batch's; (x - mean) / std in [-5, 5].
    first, second = rng.normal([[[1.0]], [[3.0]]], [[[1.0]], [[4.0]]], (2, T, B)).astype(np.float32)
    second[0, 0], valid = 1000.0, rng.random((T, B)) < 0.8
    valid[0, 0] = valid[1, 0] = True
    normalizers = policy_value.Normalizers((), (), (), (), normalization.init(jnp.zeros(())))
    for x in (first, second):
        estimates, rollout = advantages.Estimates(jnp.asarray(x), None, None), Rollout(None, {}, (), jnp.asarray(valid))
        got, normalizers = advantages.over_the_rollout(CONFIG, normalizers, estimates, rollout, 0.3)
    moments = lambda x: np.array([x[valid].mean(), (x[valid].astype(np.float64) ** 2).mean()])
    mean, square = 0.7 * moments(first) + 0.3 * moments(second)
    want = np.clip((second - mean) / np.sqrt(square - mean**2), -5, 5)
    np.testing.assert_allclose(got.advantage, want, rtol=1e-4, atol=1e-5)
