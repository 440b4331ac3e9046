"""What every training run must keep, shown on small runs of PPO, DQN and DDPG."""

import functools
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl import training
from jaxrl.algorithms import ddpg, dqn, ppo
from jaxrl.envs.gymnax_adapter import make
from jaxrl.schedules import linear, resolve

CARTPOLE = "CartPole-v1"


@functools.cache
def env(name=CARTPOLE):
    return make(name)


def small(name):
    if name == "ddpg":
        # All that acting carries on, and all that the loops hand over.
        config = ddpg.Config(
            hidden_sizes=(8,), batch_size=8, buffer_size=64, prefill=16, num_envs=2, policy_delay=2, prioritized=True,
            exploration="ornstein_uhlenbeck", normalize_observation=True,
        )  # fmt: skip
        return ddpg.make(env("Pendulum-v1").spec, config)
    if name == "ppo":
        return ppo.make(
            env().spec, ppo.Config(num_envs=2, rollout_length=16, num_minibatches=2, num_epochs=2, hidden_sizes=(8,))
        )
    return dqn.make(env().spec, dqn.Config(hidden_sizes=(8,), batch_size=8, buffer_size=64, prefill=16, num_envs=2))


@functools.cache
def small_run(name, total_steps=640, seeds=(0, 1, 2)):
    where = env("Pendulum-v1") if name == "ddpg" else env()
    return training.make_runner(small(name), where, total_steps, seeds, eval_episodes=4)


@functools.cache
def compiled(total_steps=640, **options):
    """``train.init`` and ``train.chunk`` of a small PPO."""
    train = training.make_train(small("ppo"), env(), total_steps, **options)
    return train, jax.jit(train.init), jax.jit(train.chunk)


def assert_same(a, b):
    def data(x):
        return jax.random.key_data(x) if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key) else x

    for (path, x), y in zip(jax.tree_util.tree_leaves_with_path(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(np.asarray(data(x)), np.asarray(data(y)), err_msg=jax.tree_util.keystr(path))


@pytest.mark.parametrize("name", ["ppo", "dqn", "ddpg"])
def test_the_result_does_not_depend_on_the_chunks(name):
    run = small_run(name)
    whole, _ = run.advance(run.init(), 7)
    parts = run.init()
    for n in (1, 4, 2):
        parts, _ = run.advance(parts, n)
    assert run.iterations_done(whole) == 7
    assert_same(whole, parts)


@pytest.mark.parametrize("name", ["ppo", "dqn"])
def test_more_iterations_than_a_block_of_random_numbers(name):
    run = small_run(name)
    whole, _ = run.advance(run.init(), 70)
    parts = run.init()
    for n in (63, 7):
        parts, _ = run.advance(parts, n)
    assert_same(whole, parts)


@pytest.mark.parametrize("name", ["ppo", "dqn", pytest.param("ddpg", marks=pytest.mark.slow)])
def test_a_lane_of_a_vmapped_batch_is_the_single_run(name):
    batch, single = small_run(name), small_run(name, seeds=(1,))
    lane = jax.tree.map(lambda x: x[1], batch.advance(batch.init(), 10)[0])
    alone = jax.tree.map(lambda x: x[0], single.advance(single.init(), 10)[0])
    # The same seed makes the same numbers; a batched matrix product may round the last bit otherwise.
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(np.asarray(x), np.asarray(y), rtol=1e-4, atol=1e-5),
        lane.agent,
        alone.agent,
    )
    assert_same(lane.key, alone.key)


@pytest.mark.parametrize("name", ["ppo", "dqn"])
def test_another_learning_rate_is_the_same_program(name):
    train = training.make_train(small(name), env(), 64, num_intervals=1, eval_episodes=1)
    traces = []

    @jax.jit
    def run(key, hp):
        traces.append(1)
        return train.chunk(train.init(key, hp), hp, 2)[0].agent.params

    defaults = train.agent.hyperparameters
    results = [
        run(jax.random.key(0), defaults.replace(learning_rate=lr, discount=g)) for lr, g in ((1e-3, 0.9), (1e-2, 0.99))
    ]
    assert len(traces) == 1
    assert not jnp.allclose(*[jax.tree.leaves(r)[0] for r in results])


def test_sweep_is_one_program_and_its_lanes_are_the_single_runs():
    train = training.make_train(small("ppo"), env(), 128, num_intervals=2, eval_episodes=2)
    rates = jnp.array([1e-4, 1e-2])
    hp = ppo.Hyperparameters(learning_rate=rates)
    out = training.sweep(train, seeds=[3, 5, 7], hyperparameters=hp)
    assert out.metrics.episode_return.shape == (2, 3, 2)
    assert out.evaluation.episode_return.shape == (2, 3, 2)
    single = jax.jit(train)(jax.random.key(5), hp.replace(learning_rate=rates[1]))
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(np.asarray(x[1, 1]), np.asarray(y), rtol=1e-4, atol=1e-5),
        out.agent.params, single.agent.params,
    )  # fmt: skip


def test_another_sweep_as_wide_takes_the_same_program():
    traces = []

    def train(key, hp):
        traces.append(1)
        return hp.clip * jax.random.uniform(key)

    def swept(clip, seeds=2):
        return training.sweep(train, seeds=seeds, hyperparameters=ppo.Hyperparameters(clip=jnp.array(clip)))

    np.testing.assert_allclose(swept([1.0, 2.0]) * 2, swept([2.0, 4.0]), rtol=1e-6)
    assert len(traces) == 1
    assert swept([1.0, 2.0], seeds=4).shape == (2, 4)
    assert swept(1.0).shape == (2,)
    assert len(traces) == 3


def test_sweep_refuses_unequal_axes():
    hp = ppo.Hyperparameters(learning_rate=jnp.ones(2), clip=jnp.ones(3))
    with pytest.raises(ValueError, match="same length"):
        training.sweep(lambda key, hp: key, seeds=2, hyperparameters=hp)
    with pytest.raises(ValueError, match="one axis"):
        training.sweep(lambda key, hp: key, seeds=2, hyperparameters=hp.replace(clip=jnp.ones((2, 2))))


def test_an_iteration_costs_the_same_at_any_capacity():
    """A copy of the buffer would make the larger one a hundred times slower."""
    runs = {}
    for capacity in (10_000, 1_000_000):
        agent = dqn.make(env().spec, dqn.Config(hidden_sizes=(8,), batch_size=32, buffer_size=capacity, prefill=100))
        run = training.make_runner(agent, env(), 10**6, [0])
        runs[capacity] = [run, run.advance(run.init(), 10)[0], []]
    for _ in range(5):
        for entry in runs.values():
            run, state, times = entry
            start = time.perf_counter()
            entry[1], _ = run.advance(state, 500)
            times.append(time.perf_counter() - start)
    assert min(runs[1_000_000][2]) < 2.0 * min(runs[10_000][2])


def test_steps_are_counted_exactly():
    agent = dqn.make(
        env().spec, dqn.Config(hidden_sizes=(8,), num_envs=2, prefill=5, steps_per_update=3, buffer_size=64)
    )
    train = training.make_train(agent, env(), 101)
    assert train.prefill_steps == 6 and train.steps_per_iteration == 6
    assert train.num_iterations == 16 and train.steps_after(16) == 102


def test_schedules_follow_the_environment_steps():
    hp = ppo.Hyperparameters(learning_rate=linear(1.0, 0.0, fraction=1.0), clip=linear(0.0, 1.0, steps=100))
    train, init, chunk = compiled(320)
    state, _ = chunk(init(jax.random.key(0)), None, 5)
    at = train._resolve(hp, state.iteration)
    assert float(at.learning_rate) == pytest.approx(1 - 160 / 320) and float(at.clip) == 1.0
    assert float(resolve(hp, 50.0, 0.0).clip) == 0.5


def test_reported_returns_are_of_the_raw_reward():
    _, init, chunk = compiled(reward_transform=lambda r: 0.0 * r)
    _, metrics = chunk(init(jax.random.key(0)), None, 20)
    assert metrics.episode_return == metrics.episode_length > 8


def test_an_interval_without_an_episode_reports_nan():
    _, init, chunk = compiled(320)
    _, metrics = chunk(init(jax.random.key(0)), None, 0)
    assert metrics.episodes == 0 and jnp.isnan(metrics.episode_return) and metrics.finite


def test_a_broken_parameter_is_noticed():
    train, init, chunk = compiled(320)
    hp = train.agent.hyperparameters.replace(learning_rate=jnp.nan)
    _, metrics = chunk(init(jax.random.key(0), hp), hp, 2)
    assert not metrics.finite


def test_evaluation_ends_and_counts_whole_episodes():
    run = small_run("ppo")
    evaluation = run.evaluate(run.init(), num_episodes=6)
    assert evaluation.episode_return.shape == (3, 6)
    assert evaluation.finished.all()
    np.testing.assert_array_equal(evaluation.episode_return, evaluation.episode_length)
    stochastic = run.evaluate(run.init(), num_episodes=6, deterministic=False)
    assert not np.array_equal(stochastic.episode_return, evaluation.episode_return)


def test_errors_say_what_to_do():
    pendulum = make("Pendulum-v1")
    with pytest.raises(ValueError, match=r"made for the observation_space .* make it with env.spec"):
        training.make_train(small("ppo"), pendulum, 100)
    with pytest.raises(ValueError, match="total_steps=0: must be positive"):
        training.make_train(small("ppo"), env(), 0)
    with pytest.raises(ValueError, match="more than the prefill of 16 steps"):
        training.make_train(small("dqn"), env(), 10)
    with pytest.raises(TypeError, match="compiled Environment.*make_runner"):
        training.make_train(small("ppo"), object(), 10)


def test_interval_lengths_are_even_and_complete():
    assert training.interval_lengths(10, 3) == [3, 4, 3]
    assert training.interval_lengths(2, 5) == [1, 1]
    assert sum(training.interval_lengths(977, 100)) == 977


def test_sweep_can_be_part_of_another_program():
    train = training.make_train(small("ppo"), env(), 64, num_intervals=1, eval_episodes=1)
    best = jax.jit(lambda hp: jnp.max(training.sweep(train, seeds=2, hyperparameters=hp).evaluation.mean_return))
    assert best(ppo.Hyperparameters(learning_rate=jnp.array([1e-4, 1e-2]))) > 5
