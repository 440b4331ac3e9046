"""Training on compiled environments, as one pure function or chunk by chunk."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.counters import LARGEST, Counter
from jaxrl.envs.environment import Environment
from jaxrl.envs.wrappers import for_training
from jaxrl.schedules import resolve
from jaxrl.threads import start_jax
from jaxrl.training.evaluation import Evaluation, evaluate
from jaxrl.training.iterations import TrainState, init_state, iterate, prefill_steps
from jaxrl.training.keys import Purpose, key_for
from jaxrl.training.metrics import EpisodeSums, Metrics, Totals, summarize
from jaxrl.training.staged_scan import staged_scan
from jaxrl.types import Algorithm, Array, Key, OnPolicy, PyTree
from jaxrl.validation import require


class TrainResult(NamedTuple):
    """What a whole run returns."""

    agent: PyTree
    """The algorithm's final state."""
    metrics: Metrics
    """``[num_intervals]`` reports."""
    evaluation: Evaluation
    """Episodes of the final policy."""


@dataclasses.dataclass(frozen=True, eq=False)
class Train:
    """A training run as pure functions; all can be jitted, vmapped over keys and hyper-parameters.

    Calling it does the whole run: ``train(key, hp) -> TrainResult``.
    """

    agent: Algorithm
    env: Environment
    total_steps: int
    num_intervals: int
    eval_episodes: int
    reward_transform: Callable[[Array], Array] | None = None

    @property
    def steps_per_iteration(self) -> int:
        return self.agent.feed.steps_per_iteration

    @property
    def prefill_steps(self) -> int:
        """Environment steps before the first iteration; they count towards ``total_steps``."""
        return prefill_steps(self.agent) * self.agent.feed.num_envs

    @property
    def num_iterations(self) -> int:
        """Iterations that make up ``total_steps``, the last one whole."""
        return max(0, -(-(self.total_steps - self.prefill_steps) // self.steps_per_iteration))

    def steps_after(self, iterations: int) -> int:
        """Environment steps done after so many iterations, exactly."""
        return self.prefill_steps + iterations * self.steps_per_iteration

    def init(self, key: Key, hp: Any = None) -> TrainState:
        """The state before the first iteration; a replay buffer is prefilled."""
        return init_state(self.agent, self._wrapped(), key, self._resolve(self._hp(hp), Counter.zero()))

    def chunk(self, state: TrainState, hp: Any, iterations: Array | int | Counter) -> tuple[TrainState, Metrics]:
        """Go on for some iterations. The number may be traced: any number is the same program, and the
        state after n does not depend on how they were divided into chunks."""
        hp, env = self._hp(hp), self._wrapped()
        loss_shapes = jax.eval_shape(
            lambda s: iterate(self.agent, env, s, s.iteration, self._resolve(hp, s.iteration), EpisodeSums.zero()),
            state,
        ).losses
        nothing = EpisodeSums.zero(), jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), loss_shapes)
        iterations = Counter.of(iterations)

        def one(state, counter, sums):
            out = iterate(self.agent, env, state, counter, self._resolve(hp, counter), sums[0])
            state = state._replace(agent=out.agent, actors=out.actors, buffer=out.buffer)
            return state, (out.episodes, jax.tree.map(jnp.add, sums[1], out.losses))

        def run_one(state, done):
            state, sums = one(state, state.iteration, nothing)
            return state._replace(iteration=state.iteration.add(1)), done.add(1), sums

        def run_block(state, done):
            length = done.until(iterations, BLOCK)

            def step(inner, offset):
                state, start, sums = inner
                state, sums = one(state, start.add(offset), sums)
                return (state, start, sums), None

            offsets = jnp.arange(BLOCK, dtype=jnp.uint32)
            (new, _, sums), _ = staged_scan(step, (state, state.iteration, nothing), offsets, length=length)
            return new._replace(iteration=state.iteration.add(length)), done.add(length), sums

        # An on-policy iteration is long enough to draw its own random numbers ahead of its rollout; of the
        # short off-policy ones, a block shares them.
        block = run_one if isinstance(self.agent.feed, OnPolicy) else run_block

        def body(carry):
            state, done, sums = block(*carry[:2])
            # Within a block float32 is enough, over an interval of any length it is not.
            return state, done, carry[2].add(*sums)

        start = state, Counter.zero(), Totals.zero(loss_shapes)
        state, _, totals = jax.lax.while_loop(lambda carry: carry[1].until(iterations, 1) > 0, body, start)
        episodes, losses = totals.rounded(loss_shapes)
        steps = self._steps(state.iteration)
        return state, summarize(episodes, losses, iterations.as_float(), steps, state.agent)

    def evaluate(
        self, state: TrainState, hp: Any = None, *, num_episodes: int | None = None, deterministic: bool = True
    ) -> Evaluation:
        """Play whole episodes with the current policy, in environments of their own."""
        key = key_for(state.key, Purpose.EVALUATE, state.iteration)
        hp = self._resolve(self._hp(hp), state.iteration)
        policy = self.agent.evaluated(state.agent)
        return evaluate(
            self.agent, self.env, policy, key, hp,
            num_episodes=num_episodes or self.eval_episodes, deterministic=deterministic,
        )  # fmt: skip

    def __call__(self, key: Key, hp: Any = None) -> TrainResult:
        state = self.init(key, hp)
        lengths = interval_lengths(self.num_iterations, self.num_intervals)
        lengths = jax.tree.map(lambda *x: jnp.stack(x), *map(Counter.of, lengths))
        state, metrics = jax.lax.scan(lambda s, n: self.chunk(s, hp, n), state, lengths)
        return TrainResult(state.agent, metrics, self.evaluate(state, hp))

    def _wrapped(self) -> Environment:
        return for_training(self.env, reward_transform=self.reward_transform)

    def _hp(self, hp: Any) -> Any:
        return self.agent.hyperparameters if hp is None else hp

    def _steps(self, iteration: Counter) -> Array:
        return float(self.prefill_steps) + iteration.as_float() * float(self.steps_per_iteration)

    def _resolve(self, hp: Any, iteration: Counter) -> Any:
        steps = self._steps(iteration)
        return resolve(hp, steps, steps / float(self.total_steps))


BLOCK = 64
"""Iterations for which random numbers are drawn at a time, off-policy."""


def make_train(
    agent: Algorithm,
    env: Environment,
    total_steps: int,
    *,
    num_intervals: int = 100,
    eval_episodes: int = 32,
    reward_transform: Callable[[Array], Array] | None = None,
) -> Train:
    """Make a training run of an algorithm on a compiled environment.

    Args:
        agent: an algorithm, made for ``env.spec``.
        env: a compiled environment, without auto-reset: the wrappers of ``envs.for_training`` are added.
        total_steps: environment steps, summed over the environments, prefill included.
        num_intervals: reports of the whole run (``TrainResult.metrics``).
        eval_episodes: episodes of an evaluation.
        reward_transform: what to learn from instead of the raw reward, which is still what is reported.

    Raises:
        ValueError: if the agent was made for other spaces, or a number is out of range.
        TypeError: if the environment is not a compiled one (see ``make_runner``).
    """
    if not isinstance(env, Environment):
        raise TypeError(
            f"make_train needs a compiled Environment, got {type(env).__name__}; "
            "jaxrl.training.make_runner also takes an environment on the host"
        )
    check_spec(agent, env.spec)
    require(0 < total_steps <= LARGEST, "total_steps", total_steps, "must be positive and below 2^63")
    require(num_intervals > 0, "num_intervals", num_intervals, "must be positive")
    require(eval_episodes > 0, "eval_episodes", eval_episodes, "must be positive")
    start_jax()
    train = Train(agent, env, total_steps, num_intervals, eval_episodes, reward_transform)
    require(
        train.num_iterations > 0, "total_steps", total_steps,
        f"must be more than the prefill of {train.prefill_steps} steps",
    )  # fmt: skip
    return train


def check_spec(agent: Algorithm, spec: Any) -> None:
    """Raise unless the algorithm was made for these spaces."""
    for field in ("observation_space", "action_space"):
        made_for, given = getattr(agent.spec, field), getattr(spec, field)
        if made_for != given:
            raise ValueError(
                f"{agent.name} was made for the {field} {made_for}, but {spec.name} has {given}: make it with env.spec"
            )


def interval_lengths(num_iterations: int, num_intervals: int) -> list[int]:
    """Divide the iterations into at most so many intervals, as even as they can be."""
    num_intervals = max(1, min(num_intervals, num_iterations))
    edges = [_rounded(i * num_iterations, num_intervals) for i in range(num_intervals + 1)]
    return [b - a for a, b in zip(edges[:-1], edges[1:], strict=True)]


def _rounded(a: int, b: int) -> int:
    """``round(a / b)`` of integers of any size, halves to the even number."""
    quotient, rest = divmod(a, b)
    return quotient + (2 * rest > b or (2 * rest == b and quotient % 2))
