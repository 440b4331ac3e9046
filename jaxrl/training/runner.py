"""Training from Python, interval by interval, for many seeds at once: what the experiment layer drives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.counters import Counter
from jaxrl.envs.environment import Environment
from jaxrl.threads import start_jax
from jaxrl.training.compile_clock import CompileClock
from jaxrl.training.devices import compiler_options, devices_for, over_lanes
from jaxrl.training.evaluation import Evaluation
from jaxrl.training.host_train import HostRunner
from jaxrl.training.memory import require_memory
from jaxrl.training.metrics import Metrics
from jaxrl.training.train import Train, check_spec, make_train
from jaxrl.types import Algorithm, PyTree


class Runner(Protocol):
    """A run of several seeds that goes on from Python. Every leaf of its state has a leading seed axis."""

    total_steps: int
    num_seeds: int
    num_iterations: int
    steps_per_iteration: int
    is_host: bool
    compile_clock: CompileClock
    compile_seconds: float
    """Seconds spent compiling so far."""

    def init(self) -> PyTree: ...
    def template(self) -> PyTree: ...
    def advance(self, state: PyTree, iterations: int) -> tuple[PyTree, Metrics]: ...
    def evaluate(self, state: PyTree, num_episodes: int | None = None, deterministic: bool = True) -> Evaluation: ...
    def restored(self, state: PyTree) -> PyTree: ...
    def salvaged(self) -> PyTree | None: ...
    def steps_after(self, iterations: int) -> int: ...
    def iterations_done(self, state: PyTree) -> int: ...
    def close(self) -> None: ...


class CompiledRunner:
    """A ``Runner`` on compiled environments: one program for each of init, advance and evaluate.

    Seeds are divided between the local devices; the state is donated, so buffers are never copied.
    """

    is_host = False

    def __init__(self, train: Train, seeds: Sequence[int], hp: Any = None):
        self.train, self.seeds = train, np.asarray(seeds, np.uint32)
        self.hp = as_arrays(train.agent.hyperparameters if hp is None else hp)
        self.num_seeds, self.total_steps = len(self.seeds), train.total_steps
        self.num_iterations, self.steps_per_iteration = train.num_iterations, train.steps_per_iteration
        self.compile_clock = CompileClock()
        lanes = lambda f, axes: over_lanes(f, self.num_seeds, axes)
        self._init = jax.jit(lanes(lambda seed, hp: train.init(jax.random.key(seed), hp), (0, None)))
        self._advance = jax.jit(lanes(train.chunk, (0, None, None)), donate_argnums=0)
        self._compiled: dict[Any, Callable[..., Any]] = {}

    @property
    def compile_seconds(self) -> float:
        """Seconds spent compiling so far."""
        return self.compile_clock.seconds

    def init(self) -> PyTree:
        """The state before the first iteration."""
        return self._run("init", self._init, jnp.asarray(self.seeds), self.hp)

    def template(self) -> PyTree:
        """The shapes and dtypes of a state, for reading a checkpoint; nothing is compiled."""
        return jax.eval_shape(self._init, jnp.asarray(self.seeds), self.hp)

    def advance(self, state: PyTree, iterations: int) -> tuple[PyTree, Metrics]:
        """Go on for some iterations and report them. The given state is donated: do not use it again."""
        state, metrics = self._run("advance", self._advance, state, self.hp, Counter.of(iterations))
        return state, jax.device_get(metrics)

    def evaluate(self, state: PyTree, num_episodes: int | None = None, deterministic: bool = True) -> Evaluation:
        """Play whole episodes with each seed's current policy."""
        acting = state._replace(buffer=())

        def evaluate(state, hp):
            return self.train.evaluate(state, hp, num_episodes=num_episodes, deterministic=deterministic)

        name = ("evaluate", num_episodes, deterministic)
        function = jax.jit(over_lanes(evaluate, self.num_seeds, (0, None)))
        return jax.device_get(self._run(name, function, acting, self.hp))

    def restored(self, state: PyTree) -> PyTree:
        """Take up a state that was read from a checkpoint."""
        return state

    def salvaged(self) -> None:
        """Nothing: a program that failed has used up the state that it was given."""

    def steps_after(self, iterations: int) -> int:
        """Environment steps of each seed after so many iterations."""
        return self.train.steps_after(iterations)

    def iterations_done(self, state: PyTree) -> int:
        """Iterations that a state has behind it."""
        return int(jax.tree.map(lambda x: x[0], state.iteration))

    def close(self) -> None:
        """Nothing to close."""

    def _run(self, name: Any, function: Any, *args: Any) -> Any:
        if name not in self._compiled:
            with self.compile_clock:
                self._compiled[name] = function.lower(*args).compile(compiler_options())
            # The second argument of every program: placed once, it need not be moved for each call.
            self.hp = jax.tree.map(jax.device_put, self.hp, self._compiled[name].input_shardings[0][1])
        compiled = self._compiled[name]
        # Lay restored arrays out as the program expects them; its own results are so already.
        place = lambda x, sharding: x if x.sharding == sharding else jax.device_put(x, sharding)
        return compiled(*jax.tree.map(place, args, compiled.input_shardings[0]))


def make_runner(
    agent: Algorithm,
    env: Any,
    total_steps: int,
    seeds: Sequence[int],
    hp: Any = None,
    *,
    eval_episodes: int = 32,
    reward_transform: Callable[..., Any] | None = None,
) -> Runner:
    """Make a run of several seeds, on a compiled environment or on one of the host.

    Args:
        agent: an algorithm, made for ``env.spec``.
        env: an ``Environment`` or a ``HostEnvironment``.
        total_steps: environment steps of each seed.
        seeds: one run each.
        hp: hyper-parameters; by default the algorithm's.
        eval_episodes: episodes of an evaluation, for each seed.
        reward_transform: see ``make_train``.

    Raises:
        MemoryError: if the run does not fit (``require_memory``).
    """
    start_jax()
    check_spec(agent, env.spec)
    require_memory(agent, len(seeds), len(devices_for(len(seeds))), env, eval_episodes)
    if isinstance(env, Environment):
        train = make_train(agent, env, total_steps, eval_episodes=eval_episodes, reward_transform=reward_transform)
        return CompiledRunner(train, seeds, hp)
    return HostRunner(
        agent, env, total_steps, seeds, hp, eval_episodes=eval_episodes, reward_transform=reward_transform
    )


def as_arrays(hp: Any) -> Any:
    """Hyper-parameters as float32 arrays, so that another value is never another program."""
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), hp)
