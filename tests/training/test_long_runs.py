"""Numbers that outgrow 32 bits: steps beyond 2^31, and intervals of millions of episodes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

from jaxrl import training
from jaxrl.counters import Counter
from jaxrl.envs.environment import Environment, transition_step
from jaxrl.schedules import linear
from jaxrl.training.host_arrays import HostEpisodes
from jaxrl.training.metrics import EpisodeSums, EpisodeTotals
from jaxrl.training.train import interval_lengths
from jaxrl.types import Algorithm, Info, OnPolicy


def one_step_episodes(reward=499.9):
    """Each step is an episode, which earns the reward."""
    nothing = jnp.zeros(1)
    box = spaces.Box(-1, 1, (1,), np.float32)
    step = lambda state, action, key: (state, transition_step(nothing, reward, True))
    return Environment("OneStep", box, spaces.Discrete(2), lambda key: ((), nothing), step)


def idle(env, num_envs, rate=0.0):
    """An algorithm that learns nothing and reports a schedule's value."""

    def act(policy, observation, carry, key, hp, explore=True):
        return jnp.zeros(observation.shape[0], jnp.int32), carry, {}

    return Algorithm(
        "idle", env.spec, None, {"rate": rate}, OnPolicy(num_envs, 1),
        init=lambda key, hp: jnp.zeros(()), policy=lambda state: state,
        act=act, update=lambda state, batch, key, hp: (state, Info({"rate": hp["rate"]})),
        value=lambda state, observation: jnp.zeros(observation.shape[0]),
    )  # fmt: skip


def test_a_state_goes_on_beyond_two_to_the_31():
    """At 2^33 iterations of a run of 10^12 steps, as if it had come there by itself."""
    env, total = one_step_episodes(), 10**12
    agent = idle(env, 4, linear(1.0, 0.0, fraction=1.0))
    run = training.make_runner(agent, env, total, seeds=[3])
    assert run.num_iterations == total // 4
    state = run.init()
    state = state._replace(iteration=jax.tree.map(lambda x: x[None], Counter.of(2**33)))
    state, metrics = run.advance(state, 3)
    assert run.iterations_done(state) == 2**33 + 3
    assert run.steps_after(2**33 + 3) == 4 * (2**33 + 3)
    assert metrics.episodes == 12
    np.testing.assert_allclose(metrics.steps, 4.0 * 2**33, rtol=1e-6)
    np.testing.assert_allclose(metrics.losses["rate"], 1 - 4.0 * 2**33 / total, rtol=1e-5)
    assert run.evaluate(state, 2).finished.all()


def test_millions_of_episodes_are_added_up_to_six_digits():
    """20,000 iterations of 1,000 episodes, whose sum drifts by 10^-4 as one float32."""
    env = one_step_episodes()
    run = training.make_runner(idle(env, 1000, 0.1), env, 20_000_000, seeds=[0])
    _, metrics = run.advance(run.init(), 20_000)
    assert metrics.episodes == 20_000_000
    np.testing.assert_allclose(metrics.episode_return, 499.9, rtol=1e-6)
    np.testing.assert_allclose(metrics.losses["rate"], 0.1, rtol=1e-6)
    assert metrics.episode_length == 1


def test_totals_of_episodes_are_those_of_their_parts():
    parts = [
        EpisodeSums(*map(jnp.float32, part))
        for part in [(2, 10, 4, 6, 30), (0, 0, np.inf, -np.inf, 0), (1, -9, -9, -9, 5)]
    ]
    totals = EpisodeTotals.zero()
    for part in parts:
        totals = totals.add(part)
    assert tuple(map(float, totals.rounded())) == (3, 1, -9, 6, 35)
    merged = parts[0].merge(parts[1]).merge(parts[2])
    assert tuple(map(float, merged)) == (3, 1, -9, 6, 35)


def test_episodes_on_the_host_are_added_up_where_they_are_many(monkeypatch, rng):
    monkeypatch.setattr(HostEpisodes, "MANY", 5)
    episodes, seen = HostEpisodes(2), [[], []]
    for _ in range(20):
        ended, returns = rng.random((2, 3)) < 0.5, rng.normal(size=(2, 3)).astype(np.float32)
        info = {"episode_return": returns, "episode_length": np.full((2, 3), 7)}
        timestep = type("Step", (), {"terminated": ended, "truncated": np.zeros_like(ended), "info": info})
        episodes.add(type("HostStep", (), {"timestep": timestep, "valid": None}))
        for i in range(2):
            seen[i] += returns[i][ended[i]].tolist()
    sums = episodes.sums()
    assert max(map(len, episodes._returns)) == 0 and min(map(len, seen)) > 5
    np.testing.assert_array_equal(sums.count, [len(r) for r in seen])
    np.testing.assert_allclose(sums.total_return, [sum(r) for r in seen], rtol=1e-6)
    np.testing.assert_array_equal(sums.lowest, np.float32([min(r) for r in seen]))
    np.testing.assert_array_equal(sums.highest, np.float32([max(r) for r in seen]))
    np.testing.assert_array_equal(sums.total_length, [7 * len(r) for r in seen])


@pytest.mark.parametrize("iterations", [2**63 - 1, 2**53 + 1, 10**12 + 3, 7])
def test_intervals_add_up_to_the_run(iterations):
    lengths = interval_lengths(iterations, 100)
    assert sum(lengths) == iterations and max(lengths) - min(lengths) <= 1


def test_from_two_to_the_63_on_there_is_one_sentence():
    env = one_step_episodes()
    for make in (training.make_train, lambda *args: training.make_runner(*args, seeds=[0])):
        with pytest.raises(ValueError, match="total_steps=9223372036854775808: must be positive and below 2\\^63"):
            make(idle(env, 4), env, 2**63)
