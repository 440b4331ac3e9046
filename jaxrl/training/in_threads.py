"""Workers in threads of the host: each collects, computes a gradient and applies it without waiting for the others.

The order is that in which threads happen to be ready, so a run cannot be repeated; an algorithm that can be divided so
also has a deterministic form, for ``make_train``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.envs.environment import Environment
from jaxrl.envs.wrappers import for_training
from jaxrl.schedules import resolve
from jaxrl.threads import start_jax
from jaxrl.training.collect import collect, reset_actors, step_keys
from jaxrl.training.devices import compiler_options
from jaxrl.training.evaluation import Evaluation, evaluate
from jaxrl.training.keys import Purpose, key_for
from jaxrl.training.train import check_spec
from jaxrl.types import Algorithm, Array, PyTree
from jaxrl.validation import require


class ThreadsResult(NamedTuple):
    """What a run in threads returns."""

    agent: PyTree
    """The algorithm's final state."""
    episode_returns: np.ndarray
    """Raw returns of the episodes that ended, roughly in their order."""
    staleness: np.ndarray
    """For each gradient, how many others were applied between its parameters and itself."""
    evaluation: Evaluation
    """Episodes of the final policy."""


def train_in_threads(
    agent: Algorithm,
    env: Environment,
    total_steps: int,
    *,
    seed: int = 0,
    hp: Any = None,
    eval_episodes: int = 32,
    reward_transform: Callable[[Array], Array] | None = None,
) -> ThreadsResult:
    """Train with a thread for each worker of an algorithm.

    Args:
        agent: an algorithm with ``workers``, such as A3C, made for ``env.spec``.
        env: a compiled environment, without auto-reset.
        total_steps: environment steps, summed over the workers; each one's last rollout is whole.
        seed: of parameters and environments; the order of the gradients does not depend on it alone.
        hp: hyper-parameters; by default the algorithm's. Schedules go by the steps of all workers.
        eval_episodes: episodes of the evaluation.
        reward_transform: what to learn from instead of the raw reward, which is still what is reported.

    Raises:
        ValueError: if the algorithm has no workers, or was made for other spaces.

    Source: Mnih et al. 2016 (arXiv 1602.01783), algorithm S3.
    """
    workers = agent.workers
    if workers is None:
        raise ValueError(f"{agent.name} cannot be divided between workers; a3c without normalize_observation can")
    check_spec(agent, env.spec)
    require(total_steps > 0, "total_steps", total_steps, "must be positive")
    start_jax()
    num_envs, length = agent.feed.num_envs // workers.count, agent.feed.rollout_length
    wrapped, key = for_training(env, reward_transform=reward_transform), jax.random.key(seed)
    hp = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), agent.hyperparameters if hp is None else hp)
    resolved = lambda hp, steps: resolve(hp, steps, steps / float(total_steps))

    def work(state, actors, key, hp, steps):
        hp = resolved(hp, steps)
        out = collect(agent, wrapped, actors, agent.policy(state), step_keys(key, length), hp)
        gradients, _ = workers.gradient(state, out.rollout, hp)
        return out.actors, gradients, out.ended, out.stats[0]

    def apply(state, gradients, hp, steps):
        return workers.apply(state, gradients, resolved(hp, steps))

    compiled = lambda function: jax.jit(function, compiler_options=compiler_options())
    # Before there are threads, each of which would compile by itself.
    ahead = lambda function, *args: jax.jit(function).lower(*args).compile(compiler_options())
    state = compiled(agent.init)(key_for(key, Purpose.INIT), resolved(hp, 0.0))
    reset = compiled(lambda key: reset_actors(agent, wrapped, num_envs, key))
    starts = [reset(jax.random.fold_in(key_for(key, Purpose.RESET), i)) for i in range(workers.count)]
    args = state, starts[0], key, hp, np.float32(0)
    apply = ahead(apply, state, jax.eval_shape(work, *args)[1], hp, np.float32(0))
    work = ahead(work, *args)

    lock, failures = threading.Lock(), []
    shared = {"state": state, "applied": 0, "steps": 0}
    returns: list[float] = []
    staleness: list[int] = []

    def run(worker: int) -> None:
        actors, own_key, rollout = starts[worker], jax.random.fold_in(key_for(key, Purpose.COLLECT), worker), 0
        while not failures:
            with lock:
                if shared["steps"] >= total_steps:
                    return
                shared["steps"] += num_envs * length
                state, applied, steps = shared["state"], shared["applied"], np.float32(shared["steps"])
            actors, gradients, ended, totals = work(state, actors, jax.random.fold_in(own_key, rollout), hp, steps)
            jax.block_until_ready(gradients)
            rollout += 1
            with lock:
                staleness.append(shared["applied"] - applied)
                shared["state"] = apply(shared["state"], gradients, hp, steps)
                shared["applied"] += 1
                returns.extend(np.asarray(totals)[np.asarray(ended)].tolist())

    def guarded(worker: int) -> None:
        try:
            run(worker)
        except BaseException as error:  # it must reach the caller, not end with the thread
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(i,)) for i in range(workers.count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]

    def play(state, key, hp):
        return evaluate(agent, env, agent.evaluated(state), key, hp, num_episodes=eval_episodes)

    evaluation = compiled(play)(shared["state"], key_for(key, Purpose.EVALUATE), resolved(hp, float(total_steps)))
    return ThreadsResult(shared["state"], np.asarray(returns, np.float32), np.asarray(staleness), evaluation)
