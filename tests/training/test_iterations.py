"""One iteration by an agent and a buffer that write down what the loops hand to them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces

from jaxrl.buffers.buffer import Buffer
from jaxrl.counters import Counter
from jaxrl.envs.environment import Environment, transition_step
from jaxrl.envs.wrappers import for_training
from jaxrl.schedules import linear
from jaxrl.training.iterations import init_state, iterate, prefill_steps
from jaxrl.training.keys import Purpose, key_for
from jaxrl.training.metrics import EpisodeSums
from jaxrl.training.train import make_train
from jaxrl.types import Algorithm, Info, OffPolicy, OnPolicy, Sample

ENVS = 2
NONE = -1.0


def noisy():
    """Each reward is a random number; the third step is cut off."""

    def step(count, action, key):
        count = count + 1
        return count, transition_step(count[None].astype(float), jax.random.uniform(key), False, count == 3)

    box = spaces.Box(0, 9, (1,), np.float32)
    return Environment("noisy", box, spaces.Discrete(2), lambda key: (jnp.int32(0), jnp.zeros(1)), step)


def log(size, *shape):
    return {"count": jnp.int32(0), "entries": jnp.full((size, *shape), NONE)}


def write(log, entry):
    return {"count": log["count"] + 1, "entries": log["entries"].at[log["count"]].set(entry)}


def recording_buffer():
    """A buffer of nothing: its samples are the noise of their key, and priorities are written down."""
    nothing = lambda: {"rewards": log(32, ENVS), "set": log(8, 2)}
    add = lambda state, t, valid=None: {**state, "rewards": write(state["rewards"], t.reward)}
    sample = lambda state, key, n, hp: Sample(jax.random.uniform(key), jnp.arange(n), jnp.ones(n), jnp.ones(n))

    def set_priorities(state, indices, priorities, hp):
        written = write(state["set"], jnp.stack([priorities[0], state["rewards"]["count"]]))
        return {**state, "set": jax.tree.map(lambda x, y: jnp.where(indices[0] >= 0, x, y), written, state["set"])}

    return Buffer(nothing, add, sample, set_priorities, lambda s: s, None, 32, 0, prioritized=True)


def recording(feed):
    """An agent that writes down keys, samples and what it observes; its recurrent state counts steps."""

    def update(state, batch, key, hp):
        number = state["updates"]["count"]
        sampled = batch.transitions if isinstance(feed, OffPolicy) else batch.carry[0]
        entry = jnp.stack([jax.random.uniform(key), jnp.asarray(sampled, jnp.float32)])
        state = {**state, "updates": write(state["updates"], entry)}
        return state, Info({"number": 1.0 * number}, jnp.full((4,), 1.0 * number))

    def act(policy, observation, carry, key, hp, explore=True):
        return jnp.zeros(ENVS, jnp.int32), carry + 1, {"noise": jax.random.uniform(key)}

    return Algorithm(
        name="recording", spec=noisy().spec, config=None, hyperparameters=None, feed=feed,
        init=lambda key, hp: {"updates": log(8, 2), "observed": log(32, ENVS)},
        policy=lambda state: (), act=act, update=update, value=None, initial_carry=lambda n: jnp.zeros(n),
        observe=lambda state, t, valid, hp: {**state, "observed": write(state["observed"], t.reward)},
    )  # fmt: skip


KEY = jax.random.key(0)


@functools.cache
def run(feed, iterations=2):
    agent, env = recording(feed), for_training(noisy())

    @jax.jit
    def all_of_it(key):
        state, outcomes = init_state(agent, env, key, None), []
        for i in range(iterations):
            out = iterate(agent, env, state, Counter.zero().add(i), None, EpisodeSums.zero())
            state = state._replace(agent=out.agent, actors=out.actors, buffer=out.buffer)
            outcomes.append(out)
        return outcomes

    return agent, all_of_it(KEY)


# Two environments: a prefill of 5 is three steps. An iteration is three more, and two updates.
OFF_POLICY = OffPolicy(ENVS, 4, 5, recording_buffer(), steps_per_update=3, updates_per_iteration=2)
# Episodes of three steps, rollouts of four: the second one begins after one step of the second episode.
ON_POLICY = OnPolicy(ENVS, 4)


def entries(log):
    return np.asarray(log["entries"])[: int(log["count"])]


def test_an_off_policy_iteration_by_what_buffer_and_agent_are_given():
    agent, (_, out) = run(OFF_POLICY)
    assert prefill_steps(agent) == 3
    buffer = out.buffer.buffer
    rewards, updates = entries(buffer["rewards"]), entries(out.agent["updates"])
    # Each step is stored and observed once, also those of the prefill.
    assert len(rewards) == 3 + 2 * 3
    np.testing.assert_array_equal(entries(out.agent["observed"]), rewards)
    # No two random numbers are drawn with one key: not those of steps, samples and updates.
    assert len(updates) == 4
    numbers = [*rewards.ravel(), *updates.ravel()]
    assert len(set(numbers)) == len(numbers) == 2 * 9 + 2 * 4
    # Every update's priorities are set once: the last one's of an iteration before the next one's steps are added.
    np.testing.assert_array_equal(entries(buffer["set"]), [[0, 6], [1, 6], [2, 9]])
    np.testing.assert_array_equal(out.buffer.pending[1], [3] * 4)
    # Metrics are means over the updates of the iteration, 2 and 3.
    assert out.losses["number"] == 2.5


def test_keys_of_an_iteration_are_of_their_purpose():
    of_update = lambda i: key_for(KEY, Purpose.UPDATE, Counter.zero().add(i))
    on_policy, off_policy = (entries(run(feed)[1][-1].agent["updates"]) for feed in (ON_POLICY, OFF_POLICY))
    for i in range(2):
        np.testing.assert_array_equal(on_policy[i, 0], jax.random.uniform(of_update(i)))
        for j in range(2):
            sample_key, update_key = jax.random.split(jax.random.fold_in(of_update(i), j))
            expected = [jax.random.uniform(update_key), jax.random.uniform(sample_key)]
            np.testing.assert_array_equal(off_policy[2 * i + j], expected)


def test_a_rollout_has_the_carry_before_it_and_reports_what_was_cut_off():
    outcomes = run(ON_POLICY)[1]
    np.testing.assert_array_equal(entries(outcomes[-1].agent["updates"])[:, 1], [0, 1])
    assert [int(out.episodes.count) for out in outcomes] == [ENVS, ENVS]
    assert [float(out.episodes.total_length) for out in outcomes] == [3 * ENVS, 3 * ENVS]


def test_the_clock_of_schedules_and_reports_counts_the_prefill():
    train = make_train(recording(OFF_POLICY), noisy(), 100)
    hp = linear(0.0, 1000.0, steps=1000)
    # Two environments: three steps before the first iteration, and three in each.
    for iterations in (0, 2):
        assert train._resolve(hp, Counter.zero().add(iterations)) == train.steps_after(iterations) == 6 + 6 * iterations
