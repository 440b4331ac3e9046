"""Contender: jaxrl. The parameter ``task`` names one of the functions below."""

from __future__ import annotations

import dataclasses
import functools
import time
from typing import Any

import jax
import jax.numpy as jnp
from peers.protocol import compiled, parameters, report, serve

import jaxrl
from jaxrl import envs
from jaxrl.algorithms import dqn, ppo, rainbow, sac, td3
from jaxrl.buffers import sum_tree
from jaxrl.schedules import linear
from jaxrl.training import compiler_options, make_runner, make_train, use_cpu_devices

PACKAGES = ("jax", "jaxlib", "flax", "optax", "gymnax", "gymnasium")


def make_ppo(env: Any, wanted: dict[str, Any]) -> tuple[Any, Any]:
    """PPO at the benchmark's settings, which are its defaults but for the annealed learning rate.

    ``settings`` are those of ``plain_ppo.py``, ``switches`` what it has not.
    """
    settings = dict(wanted.get("settings", {}))
    rate = linear(settings.pop("learning_rate", 2.5e-4), 0.0, fraction=1.0)
    chosen = {
        "num_envs": 4, "rollout_length": 128, "num_epochs": 4, "num_minibatches": 4, "hidden_sizes": (64, 64),
        **settings, **wanted.get("switches", {}),
    }  # fmt: skip
    config = ppo.Config(**{**chosen, "hidden_sizes": tuple(chosen["hidden_sizes"])})
    return ppo.make(env.spec, config), ppo.Hyperparameters(learning_rate=rate)


def make_dqn(env: Any, wanted: dict[str, Any]) -> tuple[Any, Any]:
    """Double DQN with an update of 256 transitions at every step of one environment."""
    config = dqn.Config(
        num_envs=1, hidden_sizes=(64, 64), activation="relu", loss="mse", target_update_period=100,
        batch_size=256, buffer_size=wanted["buffer_size"], prefill=wanted.get("prefill", 1_000),
    )  # fmt: skip
    return dqn.make(env.spec, config), dqn.Hyperparameters()


def make_rainbow(env: Any, wanted: dict[str, Any]) -> tuple[Any, Any]:
    """Rainbow on the work of ``make_dqn``: ``prioritized`` and ``n_step`` are wanted, the network is its own."""
    config = rainbow.Config(
        num_envs=1, hidden_sizes=(64,), head_sizes=(64,), v_min=0.0, v_max=100.0, target_update_period=100,
        batch_size=256, buffer_size=wanted["buffer_size"], prefill=1_000,
        prioritized=wanted["prioritized"], n_step=wanted["n_step"],
    )  # fmt: skip
    return rainbow.make(env.spec, config), rainbow.Hyperparameters()


def make_prioritized_dqn(env: Any, wanted: dict[str, Any]) -> tuple[Any, Any]:
    """``make_dqn`` with priorities and batches of 64."""
    agent, hp = make_dqn(env, wanted)
    return dqn.make(env.spec, dataclasses.replace(agent.config, prioritized=True, batch_size=64)), hp


def make_actor_critic(module: Any, env: Any, wanted: dict[str, Any]) -> tuple[Any, Any]:
    """SAC or TD3 with an update of 256 transitions at every step of one environment; ``switches`` change its replay."""
    config = module.Config(
        num_envs=1, hidden_sizes=tuple(wanted["hidden_sizes"]), batch_size=256, buffer_size=wanted["buffer_size"],
        prefill=1_000, **wanted.get("switches", {}),
    )  # fmt: skip
    rates = [f.name for f in dataclasses.fields(module.Hyperparameters) if f.name.endswith("learning_rate")]
    hp = module.Hyperparameters(discount=wanted["discount"], **dict.fromkeys(rates, wanted["learning_rate"]))
    return module.make(env.spec, config), hp


MAKE = {
    "ppo": make_ppo,
    "dqn": make_dqn,
    "rainbow": make_rainbow,
    "prioritized_dqn": make_prioritized_dqn,
    "sac": functools.partial(make_actor_critic, sac),
    "td3": functools.partial(make_actor_critic, td3),
}


def whole_run(wanted: dict[str, Any]) -> None:
    """All of training, from the initialisation on, of ``seeds`` seeds."""
    runner = _runner(wanted)
    runner.advance(runner.init(), 1)

    def work() -> int:
        state = runner.init()
        jax.block_until_ready(runner.advance(state, runner.num_iterations))
        return runner.steps_after(runner.num_iterations) * runner.num_seeds

    serve(work, compile_seconds=runner.compile_seconds, packages=PACKAGES)


def iterations(wanted: dict[str, Any]) -> None:
    """``iterations`` of training, going on from one run to the next; the initialisation is not timed."""
    runner = _runner(wanted)
    state, _ = runner.advance(runner.init(), 1)

    def work() -> int:
        nonlocal state
        state, _ = jax.block_until_ready(runner.advance(state, wanted["iterations"]))
        return wanted["iterations"] * runner.steps_per_iteration * runner.num_seeds

    serve(work, compile_seconds=runner.compile_seconds, packages=PACKAGES)


def tree(wanted: dict[str, Any]) -> None:
    """The sum-tree alone, in a scan that sets 256 values, adds one and samples 256 items."""
    capacity, batch_size = wanted["capacity"], 256

    def step(carry, key):
        tree, indices, values, position = carry
        tree = sum_tree.set(tree, indices, values)
        tree = sum_tree.set(tree, position[None], jnp.ones((1,)))
        indices = sum_tree.stratified(tree, jax.random.uniform(key, (batch_size,)))
        values = 0.9 * sum_tree.get(tree, indices) + 0.1 * jnp.abs(jnp.sin(indices * 1.0))
        return (tree, indices, values, (position + 1) % capacity), None

    def run(carry, key):
        return jax.lax.scan(step, carry, jax.random.split(key, wanted["iterations"]))[0]

    full = sum_tree.set(sum_tree.init(capacity), jnp.arange(capacity), jnp.ones(capacity))
    carry = full, jnp.arange(batch_size), jnp.ones(batch_size), jnp.int32(0)
    program, seconds = compiled(jax.jit(run, donate_argnums=0), carry, jax.random.key(0))

    def work() -> int:
        nonlocal carry
        carry = jax.block_until_ready(program(carry, jax.random.key(1)))
        return wanted["iterations"]

    serve(work, compile_seconds=seconds, packages=PACKAGES)


def sweep(wanted: dict[str, Any]) -> None:
    """``jaxrl.sweep`` over ``learning_rates`` values (none: the default alone) and ``seeds`` seeds."""
    env = envs.make(wanted["env"])
    agent, hp = make_ppo(env, wanted)
    train = make_train(agent, env, wanted["steps"], eval_episodes=1)
    rates = jnp.logspace(-4, -2, wanted["learning_rates"]) if "learning_rates" in wanted else jnp.float32(2.5e-4)

    listener = Compilations()

    def work() -> tuple[int, float]:
        listener.clear()
        start = time.perf_counter()
        jax.block_until_ready(
            jaxrl.sweep(train, seeds=wanted["seeds"], hyperparameters=hp.replace(learning_rate=rates))
        )
        seconds = time.perf_counter() - start - listener.seconds
        return train.steps_after(train.num_iterations) * wanted["seeds"] * wanted.get("learning_rates", 1), seconds

    work()
    facts = {"compile_seconds": listener.seconds, "compilations": listener.large_programs}
    serve(work, warm=True, packages=PACKAGES, **facts)


def compile_only(wanted: dict[str, Any]) -> None:
    """Compile without training: ``train`` as one pure function, or the runner's three programs."""
    if wanted["program"] == "runner":
        runner = _runner(wanted)
        state, _ = runner.advance(runner.init(), 1)
        runner.evaluate(state)
        seconds = runner.compile_seconds
    else:
        env = envs.make(wanted["env"])
        agent, hp = MAKE[wanted["algorithm"]](env, wanted)
        train = make_train(agent, env, wanted["steps"])
        hp = jax.tree.map(jnp.float32, hp)
        _, seconds = compiled(train, jax.random.key(0), hp, options=compiler_options())
    report(compile_seconds=seconds, packages=PACKAGES)


class Compilations:
    """What JAX compiles, and how long that takes."""

    def __init__(self) -> None:
        self.clear()
        jax.monitoring.register_event_duration_secs_listener(self._hear)

    def clear(self) -> None:
        """Forget what was heard."""
        self._seconds: dict[str, list[tuple[str, float]]] = {"trace": [], "lower": [], "compile": []}

    @property
    def large_programs(self) -> int:
        """Programs that take more than a tenth of the time of the largest: not those that reshape its results."""
        seconds = [s for _, s in self._seconds["compile"]]
        return sum(s > 0.1 * max(seconds) for s in seconds)

    @property
    def seconds(self) -> float:
        """Tracing, lowering and compiling; functions that are traced inside a program count with it."""
        programs = {name for name, _ in self._seconds["compile"]}
        traced = sum(s for name, s in self._seconds["trace"] if f"jit({name})" in programs)
        return traced + sum(s for _, s in (*self._seconds["lower"], *self._seconds["compile"]))

    def _hear(self, event: str, seconds: float, **details: Any) -> None:
        kinds = {"jaxpr_trace": "trace", "jaxpr_to_mlir_module": "lower", "backend_compile": "compile"}
        kind = kinds.get(event.removeprefix("/jax/core/compile/").removesuffix("_duration"))
        if kind:
            self._seconds[kind].append((str(details.get("fun_name")), seconds))


def _runner(wanted: dict[str, Any]) -> Any:
    env = envs.make(wanted["env"])
    agent, hp = MAKE[wanted["algorithm"]](env, wanted)
    return make_runner(agent, env, wanted["steps"], seeds=range(wanted.get("seeds", 1)), hp=hp)


TASKS = {"whole_run": whole_run, "iterations": iterations, "sweep": sweep, "compile": compile_only, "tree": tree}

if __name__ == "__main__":
    wanted = parameters()
    use_cpu_devices(wanted.get("devices", 1), large=wanted.get("large", False))
    TASKS[wanted["task"]](wanted)
