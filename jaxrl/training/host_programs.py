"""The compiled parts of training on environments of the host."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from jaxrl import spaces as jax_spaces
from jaxrl.counters import Counter, Sum
from jaxrl.schedules import resolve
from jaxrl.training.collect import act_and_env_keys, at_random, reset_carry
from jaxrl.training.devices import over_lanes
from jaxrl.training.host_arrays import ends_of
from jaxrl.training.iterations import Replay, learn, nothing_pending, repeat, set_pending
from jaxrl.training.keys import Purpose, key_for
from jaxrl.training.metrics import EpisodeSums, EpisodeTotals, summarize
from jaxrl.training.staged_scan import Divided, divide
from jaxrl.types import Algorithm, Array, Key, OffPolicy, OnPolicy, PyTree, Rollout

if TYPE_CHECKING:
    from jaxrl.training.host_train import HostRunner

DRAWN_AHEAD = 64
"""Iterations whose random numbers are drawn in one call, unless they take more memory than ``DRAWN_BYTES``."""
DRAWN_BYTES = 64 * 2**20


class HostTrainState(NamedTuple):
    """All of a training run but the simulators themselves, which cannot be saved."""

    agent: PyTree
    carry: PyTree
    buffer: PyTree
    """The ``Replay``; ``()`` on-policy."""
    key: Key
    iteration: Counter


@functools.partial(jax.tree_util.register_dataclass, data_fields=["vector"], meta_fields=["unpack"])
@dataclasses.dataclass(frozen=True)
class Packed:
    """A tree of few float32 numbers as one vector, since each array that a call takes or returns costs microseconds."""

    vector: Array
    unpack: Callable[[Array], PyTree]
    """Makes the tree of a vector; equal for trees of the same structure, so that their vectors can be added."""

    @classmethod
    def of(cls, tree: PyTree) -> Packed:
        return cls(*ravel_pytree(tree))



@functools.partial(jax.tree_util.register_dataclass, data_fields=["sums"], meta_fields=["unpack"])
@dataclasses.dataclass(frozen=True)
class PackedSums:
    """Sums of any number of ``Packed``."""

    sums: Sum
    unpack: Callable[[Array], PyTree]

    @classmethod
    def zero(cls, like: Packed, num_seeds: int) -> PackedSums:
        """Nothing yet, for each of the seeds that ``like`` is of."""
        return cls(Sum(np.zeros((num_seeds, 3, like.vector.shape[-1]), np.float32)), like.unpack)

    def plus(self, one: Packed) -> PackedSums:
        return PackedSums(self.sums.add(one.vector), self.unpack)

    def tree(self) -> PyTree:
        return self.unpack(self.sums.as_float())


class Programs:
    """The compiled parts of the host loop, vmapped over the seeds."""

    def __init__(self, agent: Algorithm, run: HostRunner):
        self.agent, self.run = agent, run

    def get(self, name: Any) -> Callable[..., Any]:
        base, donate = (name[0] if isinstance(name, tuple) else name), ()
        function, axes = getattr(self, f"_{base}")()
        if base in ("add", "observe", "interrupt", "update"):
            donate = (0,)
        elif base == "learn":
            # The state before it still acts while it runs, if an iteration has more than one step.
            donate = (1,) if self.run.overlap and self._steps > 1 else (0, 1)
        elif base == "begin":
            donate = (1, 2) if self.agent.observe is None else (0, 1, 2)
        if not axes:
            return jax.jit(function)
        lanes = jax.vmap(function, axes) if self.run.num_seeds > 1 else over_lanes(function, 1, axes)
        return jax.jit(lanes, donate_argnums=donate)

    def _hp(self, hp: Any, iteration: Counter) -> Any:
        steps = self._steps_at(iteration)
        return resolve(hp, steps, steps / float(self.run.total_steps))

    def _steps_at(self, iteration: Counter) -> Array:
        return float(self.run.prefill_steps) + iteration.as_float() * float(self.run.steps_per_iteration)

    def _init(self):
        agent = self.agent

        def init(seed, hp):
            key = jax.random.key(seed)
            state = agent.init(key_for(key, Purpose.INIT), self._hp(hp, Counter.zero()))
            buffer = ()
            if isinstance(agent.feed, OffPolicy):
                buffer = Replay(agent.feed.buffer.init(), nothing_pending(agent.feed))
            return HostTrainState(state, agent.initial_carry(agent.feed.num_envs), buffer, key, Counter.zero())

        return init, (0, None)

    def _random(self):
        agent, num_envs = self.agent, self.agent.feed.num_envs
        choose = at_random(agent)

        def random(key, steps, observation):
            if not self.run.masked:
                observation = jax_spaces.zeros(agent.spec.observation_space, (num_envs,))

            def one(t):
                act_key, _ = act_and_env_keys(jax.random.fold_in(key_for(key, Purpose.PREFILL), t), num_envs)
                return choose(observation, (), act_key)[0]

            return jax.vmap(one)(steps)

        return random, (0, None, 0)

    @functools.cached_property
    def _divided(self) -> tuple[Divided, Divided | None]:
        """``act``, and off-policy ``learn``, each divided into what its keys alone decide and the rest."""
        agent = self.agent
        lane = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), self.run.template())
        hp = jax.eval_shape(lambda: self.run.hp)
        observation = jax_spaces.shapes(agent.spec.observation_space, (agent.feed.num_envs,))

        def act(given, x):
            (agent_state, observation, carry, hp), (key, iteration, t) = given, x
            key = jax.random.fold_in(key_for(key, Purpose.COLLECT, iteration), t)
            act_key, _ = act_and_env_keys(key, agent.feed.num_envs)
            policy = agent.policy(agent_state)
            return agent.act(policy, observation, carry, act_key, self._hp(hp, iteration), True)

        def learn_(given, x):
            (agent_state, replay, hp), (key, iteration) = given, x
            key = key_for(key, Purpose.UPDATE, iteration)
            return learn(agent, agent_state, replay, key, self._hp(hp, iteration))

        at = lane.key, lane.iteration
        acting = divide(act, (lane.agent, observation, lane.carry, hp), (*at, jax.ShapeDtypeStruct((), jnp.int32)))
        on_policy = isinstance(agent.feed, OnPolicy)
        return acting, None if on_policy else divide(learn_, (lane.agent, lane.buffer, hp), at)

    @property
    def _steps(self) -> int:
        """Steps of an iteration."""
        feed = self.agent.feed
        return feed.rollout_length if isinstance(feed, OnPolicy) else feed.steps_per_update

    @functools.cached_property
    def ahead(self) -> int:
        """Iterations whose random numbers are drawn in one call."""
        acting, learning = self._divided
        nbytes = self.run.num_seeds * (self._steps * acting.nbytes + (learning.nbytes if learning else 0))
        return 1 if learning is None else max(1, min(DRAWN_AHEAD, DRAWN_BYTES // max(nbytes, 1)))

    def _draw(self):
        acting, learning = self._divided

        def draw(key, iteration):
            def of_iteration(i):
                at = iteration.add(i)
                of_step = lambda t: acting.ahead((key, at, t))
                return jax.vmap(of_step)(jnp.arange(self._steps)), learning.ahead((key, at)) if learning else ()

            return jax.vmap(of_iteration)(jnp.arange(self.ahead))

        return draw, (0, 0)

    def _act(self):
        acting, _ = self._divided

        def act(agent_state, observation, carry, drawn, i, t, hp):
            kept = jax.tree.map(lambda x: x[i, t], drawn[0])
            return acting.rest((agent_state, observation, carry, hp), kept)

        return act, (0, 0, 0, 0, None, None, None)

    def _begin(self):
        (act, _), (add, _), (observe, _) = self._act(), self._add(), self._observe()

        def begin(agent_state, replay, sums, left, observation, carry, drawn, i, hp):
            replay = add(replay, *left.steps, left.iteration, hp)
            sums = sums.plus(left.losses)
            if self.agent.observe is not None:
                agent_state = observe(agent_state, *left.steps, left.iteration, hp)
            action, carry, _ = act(agent_state, observation, carry, drawn, i, 0, hp)
            return () if self.agent.observe is None else agent_state, replay, sums, action, carry

        return begin, (0, 0, 0, 0, 0, 0, 0, None, None)

    def _act_deterministic(self, explore: bool = False):
        def act(agent_state, observation, carry, key, iteration, t, hp):
            policy = self.agent.evaluated(agent_state)
            key = jax.random.fold_in(key_for(key, Purpose.EVALUATE, iteration), t)
            return self.agent.act(policy, observation, carry, key, self._hp(hp, iteration), explore)[:2]

        return act, (0, 0, 0, 0, 0, None, None)

    def _act_evaluate(self):
        return self._act_deterministic(explore=True)

    def _update(self):
        def update(agent_state, rollout, carry, key, iteration, hp):
            transitions, extras, valid = rollout
            batch = Rollout(transitions, extras, carry, valid)
            key = key_for(key, Purpose.UPDATE, iteration)
            agent_state, info = self.agent.update(agent_state, batch, key, self._hp(hp, iteration))
            return agent_state, Packed.of(info.metrics), iteration.add(1)

        return update, (0, 0, 0, 0, 0, None)

    def _add(self):
        feed = self.agent.feed

        def add(replay, transitions, valid, iteration, hp):
            # Before new transitions take the places of those that the priorities are of.
            replay = set_pending(feed, replay, self._hp(hp, iteration))
            return replay._replace(buffer=_each_step(feed.buffer.add)(replay.buffer, transitions, valid))

        return add, (0, 0, 0, 0, None)

    def _observe(self):
        def observe(agent_state, transitions, valid, iteration, hp):
            hp = self._hp(hp, iteration)
            one = lambda state, transition, valid: self.agent.observe(state, transition, valid, hp)
            return _each_step(one)(agent_state, transitions, valid)

        return observe, (0, 0, 0, 0, None)

    def _interrupt(self):
        return lambda replay: replay._replace(buffer=self.agent.feed.buffer.interrupt(replay.buffer)), (0,)

    def _interrupt_agent(self):
        return self.agent.interrupt, (0,)

    def _learn(self):
        _, learning = self._divided

        def learn_(agent_state, replay, drawn, i, iteration, hp):
            kept = jax.tree.map(lambda x: x[i], drawn[1])
            agent_state, replay, metrics = learning.rest((agent_state, replay, hp), kept)
            return agent_state, replay, Packed.of(metrics), iteration.add(1)

        return learn_, (0, 0, 0, None, 0, None)

    def _reset_carry(self):
        return lambda carry, done: reset_carry(self.agent, carry, done), (0, 0)

    def _fresh_carry(self):
        carry = self.agent.initial_carry(self.agent.feed.num_envs)
        return lambda: jax.tree.map(lambda x: jnp.broadcast_to(x, (self.run.num_seeds, *x.shape)), carry), ()

    def _sum(self):
        return PackedSums.plus, (0, 0)

    # Of arrays that stay on the device.

    def _lanes(self):
        return lambda tree: [jax.tree.map(lambda x, i=i: x[i], tree) for i in range(self.run.num_seeds)], ()

    def _stack(self):
        return lambda trees: jax.tree.map(lambda *x: jnp.stack(x), *trees), ()

    def _over_time(self):
        return lambda records: jax.tree.map(lambda *x: jnp.stack(x, axis=1), *records), ()

    def _count(self):
        def count(sums, step):
            info = step.timestep.info
            part = EpisodeSums.zero().add_episodes(ends_of(step), info["episode_return"], info["episode_length"])
            return sums.add(part)

        return count, (0, 0)

    def _summarize(self):
        def report(episodes, losses, iterations, iteration, agent_state):
            episodes = episodes.rounded() if isinstance(episodes, EpisodeTotals) else episodes
            losses = {} if losses is None else losses.tree()
            return summarize(episodes, losses, iterations, self._steps_at(iteration), agent_state)

        return report, (0, 0, None, 0, 0)


def _each_step(function: Callable[..., PyTree]) -> Callable[..., PyTree]:
    """``function(state, transitions, valid) -> state`` of ``[T, B, ...]`` consecutive steps, from that of one."""

    def of_all(state, transitions, valid):
        return repeat(lambda state, step: (function(state, *step), None), state, (transitions, valid))[0]

    return of_all
