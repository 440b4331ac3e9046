"""Training on environments of the host: a Python loop around the very same ``act`` and ``update``.

Several seeds step side by side: each has a vector environment of its own, while acting and learning are
vmapped over the seeds, one compiled call for all.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl import observations
from jaxrl.counters import LARGEST, Counter
from jaxrl.envs.host import HostEnvironment, HostStep
from jaxrl.training.compile_clock import CompileClock
from jaxrl.training.evaluation import LONGEST_EPISODE, Evaluation
from jaxrl.training.host_arrays import DeviceArrays, DeviceEpisodes, HostArrays, HostEpisodes
from jaxrl.training.host_programs import HostTrainState, Packed, PackedSums, Programs
from jaxrl.training.iterations import prefill_steps
from jaxrl.training.metrics import Metrics
from jaxrl.training.train import check_spec
from jaxrl.types import Algorithm, Array, OffPolicy, OnPolicy, PyTree, Transition
from jaxrl.validation import require

RANDOM_AHEAD = 64
"""Steps whose random actions are drawn in one call, where they do not depend on a mask."""


class _Drawn(NamedTuple):
    """Random numbers of some iterations, and which of these is now."""

    kept: PyTree
    i: np.int32


class _Left(NamedTuple):
    """What an iteration leaves to be done at the beginning of the next."""

    steps: PyTree
    """To be stored, ``[S, T, ...]``."""
    losses: Packed
    """To be summed."""
    iteration: Counter
    """In which the steps were taken."""


class HostRunner:
    """A ``Runner`` on environments of the host.

    Args:
        agent: an algorithm, made for ``env.spec``.
        env: what makes the vector environments.
        total_steps: environment steps of each seed.
        seeds: one run each.
        hp: hyper-parameters; by default the algorithm's.
        eval_episodes: episodes of an evaluation, for each seed.
        reward_transform: what to learn from instead of the raw reward (a function of arrays).
        overlap: off-policy, learn while the simulators step: an update then has not yet seen the transitions of its own
            iteration. Without it the results are those that the compiled driver would get.
    """

    is_host = True

    def __init__(
        self,
        agent: Algorithm,
        env: HostEnvironment,
        total_steps: int,
        seeds: Sequence[int],
        hp: Any = None,
        *,
        eval_episodes: int = 32,
        reward_transform: Callable[..., Any] | None = None,
        overlap: bool = True,
    ):
        check_spec(agent, env.spec)
        require(0 < total_steps <= LARGEST, "total_steps", total_steps, "must be positive and below 2^63")
        self.agent, self.env, self.total_steps = agent, env, total_steps
        self.seeds = [int(s) for s in seeds]
        self.num_seeds, self.eval_episodes, self.overlap = len(self.seeds), eval_episodes, overlap
        self.steps_per_iteration = agent.feed.steps_per_iteration
        self.prefill_steps = prefill_steps(agent) * agent.feed.num_envs
        self.num_iterations = max(0, -(-(total_steps - self.prefill_steps) // self.steps_per_iteration))
        require(
            self.num_iterations > 0, "total_steps", total_steps,
            f"must be more than the prefill of {self.prefill_steps} steps",
        )  # fmt: skip
        hp = agent.hyperparameters if hp is None else hp
        self.hp = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), hp)
        self.transform = reward_transform or (lambda reward: reward)
        self.compile_clock = CompileClock()
        on_device = env.device_arrays
        self._arrays = DeviceArrays(self.num_seeds, self._run) if on_device else HostArrays(self.num_seeds)
        self._programs = Programs(agent, self)
        self._compiled: dict[Any, Callable[..., Any]] = {}
        self._vectors: list[Any] = []
        self._observation: PyTree = None
        self._before_steps: HostTrainState | None = None
        self.masked = observations.action_mask(env.spec.observation_space, env.spec.action_space) is not None

    @property
    def compile_seconds(self) -> float:
        """Seconds spent compiling so far, with the first call of each program."""
        return self.compile_clock.seconds

    def init(self) -> HostTrainState:
        """Start the simulators and make the state before the first iteration; a buffer is prefilled."""
        state = self._arrays.place(self._run("init", jnp.asarray(self.seeds, jnp.uint32), self.hp))
        self._start()
        return self.random_steps(state, prefill_steps(self.agent))

    def random_steps(self, state: HostTrainState, count: int) -> HostTrainState:
        """Take so many random actions in each environment and store what happens; off-policy, the prefill."""
        actions, action, record = self._random_actions(state, count), None, None
        for _ in range(count):
            if action is None:
                action = next(actions)
                self._send(action)
            if record is not None:  # while the simulators step
                state = self._store(state, self._arrays.over_time([record]), state.iteration)
            observation = self._observation
            # What may be done next, only an observation tells if there are masks.
            following = None if self.masked else next(actions, None)
            record = self._transition(observation, action, self._receive(following))
            action = following
        return state if record is None else self._store(state, self._arrays.over_time([record]), state.iteration)

    def _random_actions(self, state: HostTrainState, count: int) -> Iterator[PyTree]:
        """So many random actions; where there are masks, each is of the observation at the time."""
        # To take a step out of several is free of cost in NumPy alone.
        ahead = 1 if self.masked or self.env.device_arrays else RANDOM_AHEAD
        for t in range(0, count, ahead):
            shown = self._observation if self.masked else ()
            steps = np.arange(t, t + ahead, dtype=np.int32)
            actions = self._arrays.fetch(self._run("random", state.key, steps, shown))
            for i in range(min(ahead, count - t)):
                yield jax.tree.map(lambda x, i=i: x[:, i], actions)

    def template(self) -> HostTrainState:
        """The shapes and dtypes of a state, for reading a checkpoint; nothing is started."""
        return jax.eval_shape(self._programs.get("init"), jnp.asarray(self.seeds, jnp.uint32), self.hp)

    def advance(self, state: HostTrainState, iterations: int) -> tuple[HostTrainState, Metrics]:
        """Go on for some iterations and report them. The given state is donated: do not use it again."""
        episodes, self._before_steps = self._arrays.episodes(), None
        go_on = self._on_policy if isinstance(self.agent.feed, OnPolicy) else self._off_policy
        state, losses = go_on(state, iterations, episodes)
        sums, count = episodes.sums(), np.float32(iterations)
        report = self._run("summarize", sums, losses, count, state.iteration, state.agent)
        return state, jax.device_get(report)

    def evaluate(
        self, state: HostTrainState, num_episodes: int | None = None, deterministic: bool = True
    ) -> Evaluation:
        """Play whole episodes with each seed's current policy, in environments of their own."""
        n = num_episodes or self.eval_episodes
        make_vector = self.env.make_eval_vector or self.env.make_vector
        with contextlib.ExitStack() as stack:
            vectors = []
            for _ in self.seeds:
                vectors.append(make_vector(n))
                stack.callback(_close, vectors[-1])
            return self._play(state, vectors, n, deterministic)

    def _play(self, state: HostTrainState, vectors: list[Any], n: int, deterministic: bool) -> Evaluation:
        """Play an episode in each of ``n`` environments of each seed."""
        arrays = self._arrays
        done_before = self.iterations_done(state)
        observation = arrays.stack(
            [v.reset(seed=_eval_seed(s, done_before)) for v, s in zip(vectors, self.seeds, strict=True)]
        )
        carry = jax.tree.map(lambda x: jnp.broadcast_to(x, (self.num_seeds, *x.shape)), self.agent.initial_carry(n))
        carry, shape, xp = arrays.place(carry), (self.num_seeds, n), arrays.xp
        alive, returns, lengths = xp.ones(shape, bool), xp.zeros(shape, np.float32), xp.zeros(shape, np.int32)
        name = "act_deterministic" if deterministic else "act_evaluate"
        for t in range(self.env.max_episode_steps or LONGEST_EPISODE):
            action, carry = self._run(
                (name, n), state.agent, observation, carry, state.key, state.iteration, np.int32(t), self.hp
            )
            steps = [v.step(a) for v, a in zip(vectors, arrays.lanes(arrays.fetch(action)), strict=True)]
            timestep = arrays.stack([s.timestep for s in steps])
            returns = xp.where(alive, timestep.info["episode_return"], returns)
            lengths = xp.where(alive, timestep.info["episode_length"], lengths)
            alive &= ~(timestep.terminated | timestep.truncated)
            observation = timestep.observation
            if not jax.device_get(alive.any()):
                break
        return jax.device_get(Evaluation(returns, lengths, ~alive))

    def restored(self, state: HostTrainState) -> HostTrainState:
        """Take up a state from a checkpoint: the simulators start new episodes."""
        self._start(iteration=self.iterations_done(state))
        if isinstance(self.agent.feed, OffPolicy):
            state = state._replace(buffer=self._run("interrupt", state.buffer))
        if self.agent.interrupt is not None:
            state = state._replace(agent=self._run("interrupt_agent", state.agent))
        return self._arrays.place(state._replace(carry=self._run("fresh_carry")))

    def salvaged(self) -> HostTrainState | None:
        """The last whole state, after an environment raised in ``advance``; without the steps that were under way."""
        return self._before_steps

    def steps_after(self, iterations: int) -> int:
        """Environment steps of each seed after so many iterations."""
        return self.prefill_steps + iterations * self.steps_per_iteration

    def iterations_done(self, state: HostTrainState) -> int:
        """Iterations that a state has behind it."""
        return int(jax.tree.map(lambda x: x[0], state.iteration))

    def close(self) -> None:
        """Stop the simulators."""
        for vector in self._vectors:
            _close(vector)
        self._vectors = []

    # Iterations. Each kind returns the state after them and the sums of their metrics.

    def _on_policy(
        self, state: HostTrainState, iterations: int, episodes: HostEpisodes | DeviceEpisodes
    ) -> tuple[HostTrainState, PackedSums | None]:
        sums = None
        for _ in range(iterations):
            self._before_steps = state
            carry, records = state.carry, []
            drawn = self._drawn(state, 0, None)
            for t in range(self.agent.feed.rollout_length):
                observation = self._observation
                action, carry, extras = self._act(state, carry, t, drawn)
                action, extras = self._arrays.fetch((action, extras))
                step = self._step(action)
                carry = self._after(carry, step)
                transition, valid = self._transition(observation, action, step)
                records.append((transition, extras, valid))
                episodes.add(step)
            agent, losses, iteration = self._run(
                "update", state.agent, self._arrays.over_time(records), state.carry, state.key, state.iteration, self.hp
            )
            state, sums = state._replace(agent=agent, carry=carry, iteration=iteration), self._sum(sums, losses)
        return state, sums

    def _off_policy(
        self, state: HostTrainState, iterations: int, episodes: HostEpisodes | DeviceEpisodes
    ) -> tuple[HostTrainState, PackedSums | None]:
        sums = left = drawn = None
        for i in range(iterations):
            drawn = self._drawn(state, i, drawn)
            state, sums, action, carry = self._begin(state, sums, left, drawn)
            if self.overlap:
                # Dispatched before the action is waited for, so that one update begins where the last one ends.
                agent, buffer, losses, iteration = self._learn(state, drawn)
                self._before_steps = HostTrainState(agent, state.carry, buffer, state.key, iteration)
            else:
                self._before_steps = state
            records = []
            for t in range(self.agent.feed.steps_per_update):
                observation = self._observation
                if t > 0:
                    action, carry, _ = self._act(state, carry, t, drawn)
                action = self._arrays.fetch(action)
                step = self._step(action)
                carry = self._after(carry, step)
                records.append(self._transition(observation, action, step))
                episodes.add(step)
            steps = self._arrays.over_time(records)
            if self.overlap:
                left = _Left(steps, losses, state.iteration)
            else:
                agent, buffer, losses, iteration = self._learn(self._store(state, steps, state.iteration), drawn)
                sums = self._sum(sums, losses)
            state = HostTrainState(agent, carry, buffer, state.key, iteration)
        if left is not None:
            # By the same program as always, though nobody takes its action: another one would round otherwise, and the
            # run depend on how often it reports.
            state, sums, _, _ = self._begin(state, sums, left, drawn)
        return state, sums

    def _drawn(self, state: HostTrainState, i: int, drawn: _Drawn | None) -> _Drawn:
        """The random numbers of iteration ``i`` from where this began."""
        ahead = self._programs.ahead
        kept = self._run("draw", state.key, state.iteration) if i % ahead == 0 else drawn.kept
        return _Drawn(kept, np.int32(i % ahead))

    def _begin(
        self, state: HostTrainState, sums: PackedSums | None, left: _Left | None, drawn: _Drawn
    ) -> tuple[HostTrainState, PackedSums | None, PyTree, PyTree]:
        """Do what the last iteration has left, and choose the first action: all in one call, since a call costs as much
        as either."""
        if left is None:
            action, carry, _ = self._act(state, state.carry, 0, drawn)
            return state, sums, action, carry
        if sums is None:
            sums = self._no_sums(left.losses)
        agent, buffer, sums, action, carry = self._run(
            ("begin", self.agent.feed.steps_per_update), state.agent, state.buffer, sums, left, self._observation,
            state.carry, *drawn, self.hp,
        )  # fmt: skip
        agent = state.agent if self.agent.observe is None else agent
        return state._replace(agent=agent, buffer=buffer), sums, action, carry

    def _act(self, state: HostTrainState, carry: PyTree, t: int, drawn: _Drawn) -> tuple[PyTree, PyTree, PyTree]:
        return self._run("act", state.agent, self._observation, carry, *drawn, np.int32(t), self.hp)

    def _learn(self, state: HostTrainState, drawn: _Drawn) -> tuple[PyTree, PyTree, Packed, Counter]:
        return self._run("learn", state.agent, state.buffer, *drawn, state.iteration, self.hp)

    def _store(self, state: HostTrainState, steps: PyTree, iteration: Counter) -> HostTrainState:
        """Add consecutive steps to the buffer, and have the algorithm observe them, each in one call."""
        agent, count = state.agent, steps[0].reward.shape[1]
        if self.agent.observe is not None:
            agent = self._run(("observe", count), agent, *steps, iteration, self.hp)
        return state._replace(agent=agent, buffer=self._run(("add", count), state.buffer, *steps, iteration, self.hp))

    def _sum(self, sums: PackedSums | None, losses: Packed) -> PackedSums:
        return self._run("sum", self._no_sums(losses) if sums is None else sums, losses)

    def _no_sums(self, losses: Packed) -> PackedSums:
        return self._arrays.place(PackedSums.zero(losses, self.num_seeds))

    # The simulators.

    def _start(self, iteration: int = 0) -> None:
        self.close()
        self._vectors = [self.env.make_vector(self.agent.feed.num_envs) for _ in self.seeds]
        seeds = [np.random.SeedSequence([s, iteration]).generate_state(1)[0] % 2**31 for s in self.seeds]
        observations = [v.reset(seed=int(s)) for v, s in zip(self._vectors, seeds, strict=True)]
        self._observation = self._arrays.stack(observations)

    def _step(self, action: PyTree) -> HostStep:
        self._send(action)
        return self._receive()

    def _send(self, action: PyTree) -> None:
        for vector, a in zip(self._vectors, self._arrays.lanes(action), strict=True):
            vector.send(a)

    def _receive(self, following: PyTree | None = None) -> HostStep:
        """Wait for a step, and begin the next one if its action is known."""
        if following is None:
            steps = [vector.receive() for vector in self._vectors]
        else:
            lanes = self._arrays.lanes(following)
            steps = [vector.receive_and_send(a) for vector, a in zip(self._vectors, lanes, strict=True)]
        stack = self._arrays.stack
        step = stack(steps) if steps[0].valid is not None else HostStep(stack([s.timestep for s in steps]), None)
        self._observation = step.timestep.observation
        return step

    def _transition(self, observation: PyTree, action: PyTree, step: HostStep) -> tuple[Transition, Array | None]:
        t, xp = step.timestep, self._arrays.xp
        reward = xp.asarray(self.transform(t.reward), np.float32)
        if step.valid is not None:  # what a transform makes of a dummy step's reward may be no number
            reward = xp.where(step.valid.reshape(step.valid.shape + (1,) * (reward.ndim - 2)), reward, np.float32(0.0))
        return Transition(observation, action, reward, t.terminated, t.truncated, t.next_observation), step.valid

    def _after(self, carry: PyTree, step: HostStep) -> PyTree:
        if not self.agent.reset_carry or not jax.tree.leaves(carry):
            return carry
        fresh = step.timestep.terminated | step.timestep.truncated
        if step.valid is not None:
            fresh = fresh | ~step.valid  # the dummy step came before the new episode's first
        return self._run("reset_carry", carry, fresh)

    def _run(self, name: Any, *args: Any) -> Any:
        if name not in self._compiled:
            with self.compile_clock:
                self._compiled[name] = self._programs.get(name)
                return jax.block_until_ready(self._compiled[name](*args))
        return self._compiled[name](*args)


def _close(vector: Any) -> None:
    """Stop a simulator; what it raises at its end is no longer of interest."""
    with contextlib.suppress(Exception):
        vector.close()


def _eval_seed(seed: int, iteration: int) -> int:
    """Never one of the training episodes' seeds."""
    return int(np.random.SeedSequence([seed, iteration, 1]).generate_state(1)[0] % 2**31)
