"""One iteration of training on compiled environments: the on-policy and the off-policy one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.counters import Counter
from jaxrl.envs.environment import Environment
from jaxrl.training.collect import Actors, at_random, collect, reset_actors, step_actors, step_keys, with_policy
from jaxrl.training.keys import Purpose, key_for
from jaxrl.training.metrics import EpisodeSums
from jaxrl.types import Algorithm, Array, Key, OffPolicy, OnPolicy, PyTree, Transition


class Replay(NamedTuple):
    """A replay buffer, and what is still to be written to it."""

    buffer: PyTree
    pending: PyTree
    """The last batch's indices and priorities, ``[batch_size]`` each; ``()`` for a buffer without priorities.

    They are set when the next iteration begins: a loop that writes to a sum-tree before it reads from it leaves the
    tree in place, and one that reads first copies it."""


class TrainState(NamedTuple):
    """The whole of a training run: vmap it, shard it, donate it, save it, compare it."""

    agent: PyTree
    """The algorithm's state: parameters, targets, optimiser."""
    actors: Actors
    """Environments, what they show, and the recurrent state."""
    buffer: PyTree
    """The ``Replay``; ``()`` on-policy."""
    key: Key
    """The run's key. It never changes: every key is folded from it."""
    iteration: Counter
    """Iterations done."""


class Outcome(NamedTuple):
    """What changes in an iteration, and what it reports."""

    agent: PyTree
    actors: Actors
    buffer: PyTree
    episodes: EpisodeSums
    losses: dict[str, Array]


def init_state(agent: Algorithm, env: Environment, key: Key, hp: Any) -> TrainState:
    """The state before the first iteration: fresh parameters, started episodes and a prefilled buffer."""
    agent_state = agent.init(key_for(key, Purpose.INIT), hp)
    actors = reset_actors(agent, env, agent.feed.num_envs, key_for(key, Purpose.RESET))
    buffer = ()
    if isinstance(agent.feed, OffPolicy):
        carry = actors, agent.feed.buffer.init(), agent_state
        actors, buffer, agent_state = prefill(agent, env, carry, key_for(key, Purpose.PREFILL), hp)
        buffer = Replay(buffer, nothing_pending(agent.feed))
    return TrainState(agent_state, actors, buffer, key, Counter.zero())


def prefill_steps(agent: Algorithm) -> int:
    """Steps of each environment before the first iteration."""
    return -(-agent.feed.prefill // agent.feed.num_envs) if isinstance(agent.feed, OffPolicy) else 0


def prefill(
    agent: Algorithm, env: Environment, carry: tuple[Actors, PyTree, PyTree], key: Key, hp: Any
) -> tuple[Actors, PyTree, PyTree]:
    """Add the transitions of a uniformly random policy to the buffer; the carry ends with the algorithm's state."""
    choose = at_random(agent)

    def step(carry, i):
        actors, buffer, agent_state = carry
        actors, transition, _, _ = step_actors(agent, env, actors, jax.random.fold_in(key, i), choose)
        return (actors, agent.feed.buffer.add(buffer, transition), observe(agent, agent_state, transition, hp)), None

    return jax.lax.scan(step, carry, jnp.arange(prefill_steps(agent)))[0]


def observe(agent: Algorithm, agent_state: PyTree, transition: Transition, hp: Any) -> PyTree:
    """The algorithm's state after seeing a step of each environment."""
    return agent_state if agent.observe is None else agent.observe(agent_state, transition, None, hp)


def iterate(
    agent: Algorithm, env: Environment, state: TrainState, counter: Counter, hp: Any, episodes: EpisodeSums
) -> Outcome:
    """One iteration at a count, with hyper-parameters that are resolved to scalars."""
    one = _on_policy if isinstance(agent.feed, OnPolicy) else _off_policy
    collect_key = key_for(state.key, Purpose.COLLECT, counter)
    return one(agent, env, state, collect_key, key_for(state.key, Purpose.UPDATE, counter), hp, episodes)


def _on_policy(agent, env, state, collect_key, update_key, hp, episodes) -> Outcome:
    """Collect a rollout with the current policy, then learn from it once."""
    keys = step_keys(collect_key, agent.feed.rollout_length)
    actors, rollout, ended, stats = collect(agent, env, state.actors, agent.policy(state.agent), keys, hp)
    agent_state, info = agent.update(state.agent, rollout, update_key, hp)
    return Outcome(agent_state, actors, (), episodes.add_episodes(ended, *stats), info.metrics)


def _off_policy(agent, env, state, collect_key, update_key, hp, episodes) -> Outcome:
    """Add steps to the buffer, then learn from batches sampled from it."""
    feed: OffPolicy = agent.feed
    choose = with_policy(agent, agent.policy(state.agent), hp)

    def step(carry, key):
        actors, buffer, episodes, agent_state = carry
        actors, transition, _, timestep = step_actors(agent, env, actors, key, choose)
        agent_state = observe(agent, agent_state, transition, hp)
        return (actors, feed.buffer.add(buffer, transition), episodes.add(timestep), agent_state), None

    # Before new transitions take the places of those that the priorities are of.
    replay = set_pending(feed, state.buffer, hp)
    several = feed.steps_per_update > 1
    # Short chains of float32 additions: those of many steps are a sum of their own.
    carry = (state.actors, replay.buffer, EpisodeSums.zero() if several else episodes, state.agent)
    carry = repeat(step, carry, step_keys(collect_key, feed.steps_per_update))[0]
    actors, buffer, counted, agent_state = carry
    episodes = episodes.merge(counted) if several else counted

    agent_state, replay, losses = learn(agent, agent_state, Replay(buffer, replay.pending), update_key, hp)
    return Outcome(agent_state, actors, replay, episodes, losses)


def learn(agent: Algorithm, agent_state: PyTree, replay: Replay, key: Key, hp: Any) -> tuple[PyTree, Replay, dict]:
    """``updates_per_iteration`` updates from sampled batches; returns the mean of their metrics.

    The last batch's priorities are left pending.
    """
    feed: OffPolicy = agent.feed
    several = feed.updates_per_iteration > 1

    def one_update(carry, key):
        agent_state, replay = carry
        if several:
            replay = set_pending(feed, replay, hp)
        sample_key, update_key = jax.random.split(key)
        batch = feed.buffer.sample(replay.buffer, sample_key, feed.batch_size, hp)
        agent_state, info = agent.update(agent_state, batch, update_key, hp)
        pending = (batch.indices, info.priorities) if feed.buffer.prioritized else ()
        return (agent_state, Replay(replay.buffer, pending)), info.metrics

    keys = step_keys(key, feed.updates_per_iteration)
    (agent_state, replay), metrics = repeat(one_update, (agent_state, replay), keys)
    return agent_state, replay, jax.tree.map(lambda x: jnp.mean(x, axis=0), metrics)


def nothing_pending(feed: OffPolicy) -> PyTree:
    """What is pending before the first update: indices of nothing."""
    if not feed.buffer.prioritized:
        return ()
    return jnp.full((feed.batch_size,), -1, jnp.int32), jnp.zeros((feed.batch_size,))


def set_pending(feed: OffPolicy, replay: Replay, hp: Any) -> Replay:
    """Set the priorities that are pending."""
    if not feed.buffer.prioritized:
        return replay
    return Replay(feed.buffer.set_priorities(replay.buffer, *replay.pending, hp), nothing_pending(feed))


def repeat(step: Callable[[PyTree, PyTree], tuple[PyTree, PyTree]], carry: PyTree, xs: PyTree) -> tuple[PyTree, PyTree]:
    """``lax.scan``, but a single step stands in the open, where its random part can be drawn ahead."""
    if jax.tree.leaves(xs)[0].shape[0] > 1:
        return jax.lax.scan(step, carry, xs)
    carry, y = step(carry, jax.tree.map(lambda x: x[0], xs))
    return carry, jax.tree.map(lambda x: x[None], y)
