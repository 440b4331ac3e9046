"""The loop on the host by simulators with a script and an agent that writes down what it is given."""

import functools
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

from jaxrl.counters import Counter
from jaxrl.envs.host import HostEnvironment, HostStep, VectorEnv
from jaxrl.schedules import linear
from jaxrl.training.host_train import HostRunner
from jaxrl.training.keys import Purpose, key_for
from jaxrl.types import Algorithm, Info, OnPolicy, Spec, TimeStep

BOX = spaces.Box(-np.inf, np.inf, (1,), np.float32)
STEPS = 5
SEED = 7


class Scripted(VectorEnv):
    """Episodes of two steps, and of three; after each comes a dummy step. It shows the time, and as the successor
    100 more."""

    num_envs = 2
    seeds = []

    def reset(self, seed):
        self.time, self.count = 0, np.zeros(2, int)
        self.returns, self.dummy = np.zeros(2, np.float32), np.zeros(2, bool)
        Scripted.seeds.append(seed)
        return np.zeros((2, 1), np.float32)

    def send(self, action):
        self.action = np.asarray(action)[:, 0]

    def receive(self):
        self.time += 1
        valid = ~self.dummy
        reward = np.where(valid, self.action, np.nan).astype(np.float32)
        self.count = np.where(valid, self.count + 1, 0)
        self.returns = np.where(valid, self.returns + self.action, 0).astype(np.float32)
        ended = valid & (self.count == [2, 3])
        self.dummy = ended
        shown = np.full((2, 1), self.time, np.float32)
        info = {"episode_return": self.returns.copy(), "episode_length": self.count.astype(np.int32)}
        cut = np.array([False, True])
        return HostStep(TimeStep(shown, shown + 100, reward, ended & ~cut, ended & cut, info), valid)

    def close(self):
        pass


def recording():
    """An agent that keeps its last rollout, key and hyper-parameter, and whose recurrent state counts steps."""

    def update(state, batch, key, hp):
        t = batch.transitions
        kept = {
            "next": t.next_observation[..., 0], "valid": batch.valid, "count": batch.extras["count"],
            "carry": batch.carry, "noise": jax.random.uniform(key), "hp": hp,
        }  # fmt: skip
        return {**state, **kept}, Info({"loss": jnp.float32(1)})

    def act(policy, observation, carry, key, hp, explore=True):
        return jnp.full((carry.shape[0], 1), policy), carry + 1, {"count": carry}

    of_rollout = jnp.zeros((STEPS, 2))
    start = {
        "acting": jnp.float32(1), "averaged": jnp.float32(5), "next": of_rollout, "valid": of_rollout > 0,
        "count": of_rollout, "carry": jnp.zeros(2), "noise": jnp.float32(0), "hp": jnp.float32(0),
    }  # fmt: skip
    return Algorithm(
        name="recording", spec=Spec("scripted", BOX, BOX), config=None,
        hyperparameters=linear(0.0, 100.0, steps=100), feed=OnPolicy(2, STEPS), init=lambda key, hp: start,
        policy=lambda state: state["acting"], act=act, update=update, value=None,
        initial_carry=lambda n: jnp.zeros(n), evaluation_policy=lambda state: state["averaged"],
    )  # fmt: skip


@functools.cache
def played():
    """States after one iteration and two, and an evaluation of the second."""
    Scripted.seeds.clear()
    env = HostEnvironment("scripted", BOX, BOX, None, lambda n: Scripted())
    run = HostRunner(recording(), env, 100, [SEED], eval_episodes=2)
    first, metrics = run.advance(run.init(), 1)
    first = jax.device_get(first)
    begun = list(Scripted.seeds)
    evaluation = run.evaluate(first)
    second = jax.device_get(run.advance(first, 1)[0])
    run.restored(second)
    run.close()
    return first, second, metrics, evaluation, begun, list(Scripted.seeds)


def rollout(state, name):
    return np.asarray(state.agent[name])[0]


def test_a_rollout_is_what_the_simulators_did_and_marks_their_dummy_steps():
    first, second, *_ = played()
    for i, state in enumerate((first, second)):
        np.testing.assert_array_equal(rollout(state, "next")[:, 0], 101 + STEPS * i + np.arange(STEPS))
    # Of each environment: real steps, a dummy one after each end, and again.
    valid = np.concatenate([rollout(s, "valid") for s in (first, second)]).T.astype(int)
    assert valid.tolist() == [[1, 1, 0, 1, 1, 0, 1, 1, 0, 1], [1, 1, 1, 0, 1, 1, 1, 0, 1, 1]]


def test_the_recurrent_state_begins_anew_after_an_end_and_after_the_dummy_step():
    first, second, *_ = played()
    count = np.concatenate([rollout(s, "count") for s in (first, second)]).T
    assert count.tolist() == [[0, 1, 0, 0, 1, 0, 0, 1, 0, 0], [0, 1, 2, 0, 0, 1, 2, 0, 0, 1]]
    # An update is told the state before its rollout, not after it.
    np.testing.assert_array_equal(rollout(first, "carry"), [0, 0])
    np.testing.assert_array_equal(rollout(second, "carry"), count[:, STEPS])


def test_an_update_has_a_key_of_its_own_and_the_hyperparameters_of_its_time():
    for i, state in enumerate(played()[:2]):
        key = key_for(jax.random.key(SEED), Purpose.UPDATE, Counter.zero().add(i))
        np.testing.assert_allclose(rollout(state, "noise"), jax.random.uniform(key), rtol=1e-6)
        # The schedule is the number of steps.
        assert rollout(state, "hp") == pytest.approx(i * 2 * STEPS)


def test_reports_are_of_episodes_that_ended():
    metrics = played()[2]
    # Environment 0 ends two episodes of two steps, the other one of three; each step's reward is 1.
    assert (metrics.episodes.item(), metrics.episode_return.item()) == (3, pytest.approx(7 / 3))
    assert metrics.steps.item() == 2 * STEPS


def test_an_evaluation_counts_each_first_episode_by_the_policy_meant_for_it():
    evaluation = played()[3]
    np.testing.assert_array_equal(evaluation.episode_length, [[2, 3]])
    np.testing.assert_array_equal(evaluation.episode_return, [[10, 15]])
    assert evaluation.finished.all()


def test_episodes_begin_from_seeds_of_their_own():
    *_, begun, seeds = played()
    # The start, the evaluation after an iteration, and the start anew after two.
    assert len(begun) == 1 and len(seeds) == 3 and len(set(seeds)) == 3
    starts = []
    for iteration in (0, 1, 2):
        Scripted.seeds.clear()
        env = HostEnvironment("scripted", BOX, BOX, None, lambda n: Scripted())
        run = HostRunner(recording(), env, 100, [SEED])
        run._start(iteration)
        starts += Scripted.seeds
    assert len({*starts, seeds[1]}) == 4


def test_a_simulator_that_raises_when_it_is_closed_is_of_no_interest_any_more():
    closed = []

    def fail():
        closed.append("broken")
        raise RuntimeError("closed already")

    vectors = [types.SimpleNamespace(close=fail), types.SimpleNamespace(close=lambda: closed.append("whole"))]
    runner = types.SimpleNamespace(_vectors=vectors)
    HostRunner.close(runner)
    assert closed == ["broken", "whole"] and runner._vectors == []
