"""Contender: jaxrl. The parameter ``task`` names one of the functions below."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
from peers.protocol import compiled, parameters, report, serve

import jaxrl
from jaxrl import envs
from jaxrl.algorithms import dqn, ppo
from jaxrl.schedules import linear
from jaxrl.training import make_runner, make_train, use_cpu_devices

PACKAGES = ("jax", "jaxlib", "flax", "optax", "gymnax", "gymnasium")


def make_ppo(env: Any, wanted: dict[str, Any]) -> tuple[Any, Any]:
    """PPO at the benchmark's settings, which are its defaults but for the annealed learning rate."""
    config = ppo.Config(num_envs=4, rollout_length=128, num_epochs=4, num_minibatches=4, hidden_sizes=(64, 64))
    return ppo.make(env.spec, config), ppo.Hyperparameters(learning_rate=linear(2.5e-4, 0.0, fraction=1.0))


def make_dqn(env: Any, wanted: dict[str, Any]) -> tuple[Any, Any]:
    """Double DQN with an update of 256 transitions at every step of one environment."""
    config = dqn.Config(
        num_envs=1, hidden_sizes=(64, 64), activation="relu", loss="mse", target_update_period=100,
        batch_size=256, buffer_size=wanted["buffer_size"], prefill=wanted.get("prefill", 1_000),
    )  # fmt: skip
    return dqn.make(env.spec, config), dqn.Hyperparameters()


MAKE = {"ppo": make_ppo, "dqn": make_dqn}


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


def sweep(wanted: dict[str, Any]) -> None:
    """``jaxrl.sweep`` over ``learning_rates`` values (none: the default alone) and ``seeds`` seeds."""
    env = envs.make(wanted["env"])
    agent, hp = make_ppo(env, wanted)
    train = make_train(agent, env, wanted["steps"], eval_episodes=1)
    rates = jnp.logspace(-4, -2, wanted["learning_rates"]) if "learning_rates" in wanted else jnp.float32(2.5e-4)

    def run(rates: jax.Array) -> Any:
        return jaxrl.sweep(train, seeds=wanted["seeds"], hyperparameters=hp.replace(learning_rate=rates))

    # A sweep of nothing first compiles the small programs around it.
    jaxrl.sweep(lambda key, hp: hp.clip, seeds=wanted["seeds"], hyperparameters=hp.replace(learning_rate=rates))
    with compilations() as names:
        jax.block_until_ready(run(rates))
    program, compile_seconds = compiled(run, rates)

    def work() -> int:
        jax.block_until_ready(program(rates))
        return train.steps_after(train.num_iterations) * wanted["seeds"] * wanted.get("learning_rates", 1)

    serve(work, compile_seconds=compile_seconds, compilations=len(names), packages=PACKAGES)


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
        _, seconds = compiled(train, jax.random.key(0), jax.tree.map(jnp.float32, hp))
    report(compile_seconds=seconds, packages=PACKAGES)


@contextlib.contextmanager
def compilations() -> Iterator[list[str]]:
    """What XLA compiles in this block."""
    names: list[str] = []

    class Record(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            message = record.getMessage()
            if message.startswith("Finished XLA compilation of "):
                names.append(message.split()[4])

    handler, logger = Record(), logging.getLogger("jax")
    logger.addHandler(handler)
    with jax.log_compiles():
        yield names
    logger.removeHandler(handler)


def _runner(wanted: dict[str, Any]) -> Any:
    env = envs.make(wanted["env"])
    agent, hp = MAKE[wanted["algorithm"]](env, wanted)
    return make_runner(agent, env, wanted["steps"], seeds=range(wanted.get("seeds", 1)), hp=hp)


TASKS = {"whole_run": whole_run, "iterations": iterations, "sweep": sweep, "compile": compile_only}

if __name__ == "__main__":
    wanted = parameters()
    use_cpu_devices(wanted.get("devices", 1))
    TASKS[wanted["task"]](wanted)
