"""Abilities that the probes do not ask for, each on the toy environment that asks for it."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl import training
from jaxrl.algorithms import a3c, ppo
from jaxrl.envs import toys
from jaxrl.envs.environment import reset_rows, step_rows
from jaxrl.schedules import linear

HP = ppo.Hyperparameters(learning_rate=linear(5e-3, 0.0, fraction=1.0), entropy_coefficient=0.0, discount=0.95)
LSTM = {"actor_rnn": "lstm", "critic_rnn": "lstm", "rnn_size": 16}
GRU = {"actor_rnn": "gru", "critic_rnn": "gru", "rnn_size": 16}


def score(env, total_steps, hp=HP, auxiliary=None, **switches):
    """The mean return of 128 deterministic episodes; 1 is the best. With an auxiliary loss also its course."""
    config = {
        "num_envs": 16,
        "rollout_length": 20,
        "num_minibatches": 4,
        "hidden_sizes": (16,),
        "clip_value_loss": False,
    }
    agent = ppo.make(env.spec, ppo.Config(**{**config, **switches}), auxiliary=auxiliary)
    num_intervals = 1 if auxiliary is None else 10
    train = training.make_train(agent, env, total_steps, num_intervals=num_intervals, eval_episodes=128)
    result = jax.jit(train)(jax.random.key(0), hp)
    mean_return = float(result.evaluation.mean_return)
    return mean_return if auxiliary is None else (mean_return, result.metrics.losses["auxiliary_loss"])


@pytest.mark.learning
@pytest.mark.parametrize("privileged", [False, True])
def test_one_policy_of_several_agents(privileged):
    assert score(toys.team(4, privileged), 16_000) >= 0.95


@pytest.mark.learning
def test_masked_actions():
    assert score(toys.forbidden(), 16_000) >= 0.95


@pytest.mark.learning
@pytest.mark.parametrize(
    "switches",
    [LSTM, GRU, {**LSTM, "sequence_length": 5}, {**GRU, "shared_torso": True}, {"actor_rnn": "gru", "rnn_size": 16}],
    ids=["lstm", "gru", "truncated", "shared", "actor"],
)
def test_memory(switches):
    # Sequences of 5 steps begin at stored states: an episode has 5 steps.
    assert score(toys.recall(), 80_000, **switches) >= 0.95


@pytest.mark.learning
def test_without_memory_there_is_half():
    assert score(toys.recall(), 40_000) <= 0.7


@pytest.mark.learning
def test_a_critic_that_sees_more():
    assert score(toys.recall(privileged=True), 80_000, actor_rnn="gru", rnn_size=16) >= 0.95


@pytest.mark.learning
@pytest.mark.parametrize(
    ("toy", "switches"),
    [
        ("combination", {}),
        ("two_rewards", {}),
        ("mixture", {}),
        ("mixture", {"continuous": "beta"}),
        ("mixture", {"continuous": "squashed_gaussian"}),
    ],
)
def test_combined_actions_rewards_and_observations(toy, switches):
    assert score(toys.TOYS[toy](), 64_000, **switches) >= 0.95


def predicting(name):
    """An auxiliary loss: the squared error of a linear prediction of an entry of the observation."""
    head = nn.Dense(1)
    error = lambda params, features, steps: (head.apply(params, features) - steps.observation[name])[..., 0] ** 2
    return ppo.AuxiliaryLoss(head.init, error)


@pytest.mark.learning
def test_an_auxiliary_loss():
    mean_return, errors = score(toys.goal(), 80_000, auxiliary=predicting("auxiliary"))
    assert mean_return >= 0.95
    assert errors[-1] < 0.1 * errors[0]


@pytest.mark.parametrize(
    "switches",
    [{"separate_optimizers": True}, *(pytest.param(each, marks=pytest.mark.slow) for each in ({}, GRU))],
    ids=["separate", "one", "recurrent"],
)
def test_an_auxiliary_loss_shapes_the_actor_and_learns_by_itself(switches, key):
    env = toys.goal()
    config = ppo.Config(num_envs=2, rollout_length=4, num_minibatches=1, hidden_sizes=(4,), **switches)
    agent = ppo.make(env.spec, config, auxiliary=predicting("auxiliary"))
    train = training.make_train(agent, env, 8)
    state = jax.jit(train.init)(key, HP)
    after = {}
    for coefficient in (0.0, 1.0):
        hp = HP.replace(auxiliary_coefficient=coefficient, max_grad_norm=1e6)
        after[coefficient], metrics = jax.jit(train.chunk)(state, hp, 1)
        assert np.isfinite(metrics.losses["auxiliary_loss"])
    same = lambda a, b: all(np.array_equal(x, y) for x, y in zip(*map(jax.tree.leaves, (a, b)), strict=True))
    without, with_it, before = after[0.0].agent.params, after[1.0].agent.params, state.agent.params
    assert same(without["auxiliary"], before["auxiliary"]) and not same(with_it["auxiliary"], before["auxiliary"])
    assert not same(with_it["actor"], without["actor"])
    assert same(with_it["critic"], without["critic"])
    assert "auxiliary" not in agent.policy(state.agent).params


@pytest.mark.parametrize("name", toys.TOYS)
def test_a_toy_is_what_its_spaces_say(name, key):
    env = toys.TOYS[name]()
    agent = ppo.make(env.spec, ppo.Config(num_envs=2, rollout_length=4, num_minibatches=1, hidden_sizes=(4,)))

    @jax.jit
    def first_step(key):
        state, observation = reset_rows(env, jax.random.split(key, 2))
        action = agent.act(agent.policy(agent.init(key, HP)), observation, (), key, HP)[0]
        return observation, step_rows(env, state, action, jax.random.split(key, 2))[1]

    observation, timestep = first_step(key)
    assert timestep.reward.shape == (2, *env.reward_shape)
    assert jax.tree.map(jnp.shape, timestep.observation) == jax.tree.map(jnp.shape, observation)


def test_a_run_with_recurrent_state_goes_on_bit_for_bit():
    env = toys.recall()
    switches = {**LSTM, "normalize_observation": True, "normalize_reward": True, "normalize_value": True}
    agent = ppo.make(
        env.spec, ppo.Config(num_envs=4, rollout_length=8, num_minibatches=2, hidden_sizes=(4,), **switches)
    )
    train = training.make_train(agent, env, 10_000)
    chunk = jax.jit(train.chunk)
    start = jax.jit(train.init)(jax.random.key(0), HP)
    whole, _ = chunk(start, HP, 5)
    half, _ = chunk(start, HP, 2)
    assert any(np.any(x) for x in jax.tree.leaves(half.actors.carry))
    saved = jax.tree.map(lambda x: x if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else np.array(x), half)
    again, _ = chunk(saved, HP, 3)
    unwrap = lambda tree: [
        jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x for x in jax.tree.leaves(tree)
    ]
    for a, b in zip(unwrap(whole), unwrap(again), strict=True):
        np.testing.assert_array_equal(a, b)


def test_seeds_of_a_recurrent_run_do_not_see_each_other():
    env = toys.recall()
    agent = ppo.make(env.spec, ppo.Config(num_envs=4, rollout_length=8, num_minibatches=2, hidden_sizes=(4,), **GRU))
    train = training.make_train(agent, env, 96, num_intervals=1, eval_episodes=2)
    run = jax.jit(jax.vmap(lambda seed: train(jax.random.key(seed), HP).agent.params))
    some, others = run(jnp.array([0, 1, 2])), run(jnp.array([7, 1, 5]))
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[1], b[1]), some, others)
    assert not np.array_equal(*(jax.tree.leaves(x)[0][0] for x in (some, others)))


def test_threads_apply_gradients_as_they_come():
    env = toys.forbidden()
    config = a3c.Config(num_workers=3, num_envs=6, rollout_length=10, hidden_sizes=(16,), optimizer="adam")
    agent = a3c.make(env.spec, config)
    hp = a3c.Hyperparameters(learning_rate=linear(1e-2, 1e-3, fraction=1.0), entropy_coefficient=0.0)
    result = training.train_in_threads(agent, env, 16_000, hp=hp, reward_transform=lambda reward: 2 * reward)
    assert len(result.staleness) == 800
    assert result.staleness.max() >= 1
    assert len(result.episode_returns) == 16_000
    assert set(result.episode_returns.tolist()) == {0.0, 1.0}
    assert result.evaluation.mean_return >= 0.9


def test_only_what_can_be_divided_runs_in_threads():
    env = toys.forbidden()
    with pytest.raises(ValueError, match="a3c"):
        training.train_in_threads(ppo.make(env.spec), env, 100)
