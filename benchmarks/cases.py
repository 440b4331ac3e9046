"""The work that ``speed.py`` measures: each case with its contenders, and the bars it is held against."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

from alternate import Bound, Case, Contender, Ratio

CARTPOLE = "gymnax:CartPole-v1"
HOST_CARTPOLE = "gymnasium:CartPole-v1"
PENDULUM = "gymnax:Pendulum-v1"
HOST_CHEETAH = "gymnasium:HalfCheetah-v5"
CAPACITY = 131_072
ONE_THREAD = {"NPROC": "1"}
FOUR_THREADS = {"NPROC": "4"}
"""With fewer, the plain loop's orthogonal kernels of several seeds can stop for ever: see ``networks.initializers``."""
THREAD_A_CORE = {"NPROC": str(os.cpu_count() or 1)}
"""What the command line chooses for large products, and XLA by itself."""


def ours(name: str, task: str, variables: dict[str, str] | None = None, **parameters: Any) -> Contender:
    return Contender(name, "ours.py", {"task": task, **parameters}, variables=variables or {})


def plain(name: str, script: str, variables: dict[str, str] | None = None, **parameters: Any) -> Contender:
    return Contender(name, f"peers/{script}", parameters, variables=variables or {})


def peer(name: str, script: str, variables: dict[str, str] | None = None, **parameters: Any) -> Contender:
    return Contender(name, f"peers/{script}", parameters, peer=True, variables=variables or {})


def ppo_case(quick: bool) -> Case:
    steps = 20_000 if quick else 500_000
    return Case(
        "ppo",
        f"PPO, CartPole-v1, one seed, {steps:,} steps (4 environments x 128, 4 epochs, 4 minibatches, 64-64 tanh)",
        (
            ours("jaxrl", "whole_run", algorithm="ppo", env=CARTPOLE, steps=steps),
            plain("plain loop", "plain_ppo.py", steps=steps),
            plain("plain loop, NPROC=1", "plain_ppo.py", ONE_THREAD, steps=steps),
            peer("rejax", "rejax_ppo.py", steps=steps),
            peer("rejax, NPROC=1", "rejax_ppo.py", ONE_THREAD, steps=steps),
        ),
        (
            Ratio("jaxrl / rejax", "jaxrl", "rejax", at_least=1.5),
            Ratio("jaxrl / rejax, NPROC=1", "jaxrl", "rejax, NPROC=1", at_least=1.5),
            Ratio("jaxrl / plain loop", "jaxrl", "plain loop", at_least=1.2),
            Ratio("jaxrl / plain loop, NPROC=1", "jaxrl", "plain loop, NPROC=1", at_least=1.2),
        ),
    )


def ppo_8seeds_case(quick: bool) -> Case:
    steps = 10_000 if quick else 200_000
    return Case(
        "ppo_8seeds",
        f"PPO as above, eight seeds of {steps:,} steps (ours divided between two CPU devices)",
        (
            ours("jaxrl, two devices", "whole_run", algorithm="ppo", env=CARTPOLE, steps=steps, seeds=8, devices=2),
            plain("plain loop under vmap", "plain_ppo.py", FOUR_THREADS, steps=steps, seeds=8),
        ),
        (Ratio("jaxrl / plain loop under vmap", "jaxrl, two devices", "plain loop under vmap", at_least=1.8),),
    )


def ppo_recurrence_case(quick: bool) -> Case:
    steps = 10_000 if quick else 100_000
    run = partial(ours, task="whole_run", algorithm="ppo", env="jaxrl.envs.toys:cartpole_positions", steps=steps)
    memory = lambda cell: {"actor_rnn": cell, "critic_rnn": cell, "sequence_length": 32}
    cells = {"LSTM": "lstm", "GRU": "gru"}
    return Case(
        "ppo_recurrence",
        f"PPO as above, CartPole without velocities, {steps:,} steps: with memory (64 units in actor and critic each, "
        "sequences of 32) and without",
        (run("no memory"), *(run(name, switches=memory(cell)) for name, cell in cells.items())),
        tuple(Ratio(f"{name} / no memory", name, "no memory") for name in cells),
        tuple(Bound(name, "compile_seconds", at_most=10.0) for name in cells),
    )


def ppo_minatar_case(quick: bool) -> Case:
    """The work of the preset ``ppo/MinAtar``."""
    steps, env = 20_000 if quick else 250_000, "Breakout-MinAtar"
    settings = {
        "num_envs": 64, "rollout_length": 128, "num_epochs": 4, "num_minibatches": 8, "hidden_sizes": [64, 64],
        "activation": "relu", "learning_rate": 5e-3,
    }  # fmt: skip
    work = {"algorithm": "ppo", "env": f"gymnax:{env}", "steps": steps, "settings": settings}
    # With the threads that the command line chooses for products of this size.
    work |= {"switches": {"torso": "mlp"}, "large": True}
    mine = lambda name, **more: ours(f"jaxrl, {name}", "whole_run", **work, **more)
    return Case(
        "ppo_minatar",
        f"PPO, {env}, {steps:,} steps a seed (64 environments x 128, 4 epochs, 8 minibatches, 64-64 relu)",
        (
            mine("1 seed"),
            mine("3 seeds", seeds=3),
            plain("plain loop", "plain_ppo.py", steps=steps, env=env, **settings),
            plain("plain loop, NPROC=1", "plain_ppo.py", ONE_THREAD, steps=steps, env=env, **settings),
        ),
        tuple(
            Ratio(f"{name} / {other}", name, other)
            for name in ("jaxrl, 1 seed", "jaxrl, 3 seeds")
            for other in ("plain loop", "plain loop, NPROC=1")
        ),
    )


def dqn_case(quick: bool) -> Case:
    steps = 3_000 if quick else 20_000
    work = {"steps": steps, "buffer_size": CAPACITY}
    return Case(
        "dqn",
        f"Double DQN, CartPole-v1, {steps:,} steps of one environment, an update of batch 256 at each, "
        f"64-64 relu, buffer {CAPACITY:,}",
        (
            ours("jaxrl", "whole_run", algorithm="dqn", env=CARTPOLE, **work),
            plain("plain loop", "plain_dqn.py", **work),
            plain("plain loop, NPROC=1", "plain_dqn.py", ONE_THREAD, **work),
            peer("plain loop on flashbax", "flashbax_dqn.py", **work),
            peer("rejax", "rejax_dqn.py", **work),
            peer("rejax, NPROC=1", "rejax_dqn.py", ONE_THREAD, **work),
        ),
        (
            Ratio("jaxrl / rejax", "jaxrl", "rejax", at_least=5.0),
            Ratio("jaxrl / rejax, NPROC=1", "jaxrl", "rejax, NPROC=1", at_least=5.0),
            Ratio("jaxrl / plain loop", "jaxrl", "plain loop"),
            Ratio("jaxrl / plain loop, NPROC=1", "jaxrl", "plain loop, NPROC=1"),
            Ratio("jaxrl / plain loop on flashbax", "jaxrl", "plain loop on flashbax"),
        ),
    )


def dqn_capacity_case(quick: bool) -> Case:
    small, large = 10_000, 1_000_000
    work = {"algorithm": "dqn", "env": CARTPOLE, "iterations": 2_000 if quick else 20_000, "steps": 2_000_000}
    contender = lambda name, size: ours(name, "iterations", buffer_size=size, prefill=size, **work)
    return Case(
        "dqn_capacity",
        f"DQN as above, {work['iterations']:,} iterations with a full buffer of {small:,} and of {large:,} transitions",
        (contender("jaxrl, 10,000", small), contender("jaxrl, 1,000,000", large)),
        (Ratio("time of an iteration, 1,000,000 / 10,000", "jaxrl, 10,000", "jaxrl, 1,000,000", at_most=1.2),),
    )


def host_ppo_case(quick: bool) -> Case:
    steps = 2_048 if quick else 20_480
    mine = {"algorithm": "ppo", "env": HOST_CARTPOLE, "steps": steps}
    return Case(
        "host_ppo",
        f"PPO on Gymnasium's CartPole-v1 (on the host), {steps:,} steps a seed; steps of all seeds are counted",
        (
            ours("jaxrl, 3 seeds", "whole_run", seeds=3, **mine),
            ours("jaxrl, 1 seed", "whole_run", **mine),
            peer("stable-baselines3", "sb3_ppo.py", steps=steps),
            peer("stable-baselines3, 1 thread", "sb3_ppo.py", steps=steps, threads=1),
            peer("sbx", "sb3_ppo.py", steps=steps, library="sbx"),
        ),
        tuple(
            Ratio(f"{mine} / {other}", mine, other, at_least=bar)
            for mine, bar in (("jaxrl, 3 seeds", 4.0), ("jaxrl, 1 seed", None))
            for other in ("stable-baselines3", "stable-baselines3, 1 thread", "sbx")
        ),
    )


def compile_case(quick: bool) -> Case:
    del quick
    contender = lambda algorithm, program: ours(
        f"jaxrl {algorithm}, {PROGRAMS[program]}", "compile", algorithm=algorithm, program=program,
        env=CARTPOLE, steps=500_000, buffer_size=CAPACITY,
    )  # fmt: skip
    contenders = tuple(contender(a, p) for a in ("ppo", "dqn") for p in PROGRAMS)
    return Case(
        "compile",
        "Cold compile of the training programs (tracing, lowering and compiling, in a fresh process)",
        (
            *contenders,
            plain("plain loop ppo", "plain_ppo.py", steps=500_000, compile_only=True),
            plain("plain loop dqn", "plain_dqn.py", steps=20_000, buffer_size=CAPACITY, compile_only=True),
            peer("rejax ppo", "rejax_ppo.py", steps=500_000, compile_only=True),
            peer("rejax dqn", "rejax_dqn.py", steps=20_000, buffer_size=CAPACITY, compile_only=True),
        ),
        bounds=tuple(Bound(c.name, "median", at_most=5.0) for c in contenders),
        fresh="compile_seconds",
    )


PROGRAMS = {
    "runner": "the command's programs (initialise, advance, evaluate)",
    "train": "the whole run as one program",
}


def import_case(quick: bool) -> Case:
    del quick
    contender = lambda name, *modules: plain(name, "import_time.py", modules=modules)
    everything = "jaxrl.algorithms", "jaxrl.envs", "jaxrl.training", "jaxrl.experiment.run"
    return Case(
        "import",
        "Importing in a fresh process",
        (
            contender("import jaxrl", "jaxrl"),
            contender("all that a run uses", "jaxrl", *everything),
            contender("import jax", "jax"),
            peer("import rejax", "import_time.py", modules=("rejax",)),
        ),
        bounds=(Bound("import jaxrl", "median", at_most=1.5),),
        fresh="import_seconds",
    )


def sweep_case(quick: bool) -> Case:
    steps = 5_120 if quick else 51_200
    grid, seeds = "8 learning rates x 8 seeds", "64 seeds"
    work = {"env": CARTPOLE, "steps": steps, "devices": 2}
    return Case(
        "sweep",
        f"jaxrl.sweep of PPO as above, {steps:,} steps of each of 64 runs, on two CPU devices",
        (ours(grid, "sweep", learning_rates=8, seeds=8, **work), ours(seeds, "sweep", seeds=64, **work)),
        (Ratio(f"{grid} / {seeds}", grid, seeds, at_least=1.0),),
        (Bound(grid, "compilations", at_most=1),),
    )


def sum_tree_case(quick: bool) -> Case:
    iterations, small, large = 200 if quick else 4_000, 10_000, 1_000_000
    mine = lambda capacity: ours(f"jaxrl, {capacity:,}", "tree", capacity=capacity, iterations=iterations)
    theirs = lambda way: peer(
        f"flashbax, {way}", "flashbax_tree.py", capacity=large, iterations=iterations // 4, set=way
    )
    return Case(
        "sum_tree",
        f"Sum-tree in a scan: set 256, add 1, sample 256; {iterations:,} iterations, items {small:,} and {large:,}",
        (mine(large), mine(small), theirs("bincount"), theirs("scan")),
        (
            Ratio("time, jaxrl / flashbax (bincount)", "flashbax, bincount", f"jaxrl, {large:,}", at_most=0.4),
            Ratio("time, jaxrl / flashbax (scan)", "flashbax, scan", f"jaxrl, {large:,}", at_most=0.4),
            Ratio("time, 1,000,000 / 10,000", f"jaxrl, {small:,}", f"jaxrl, {large:,}", at_most=1.3),
        ),
    )


def rainbow_case(quick: bool) -> Case:
    work = {"env": CARTPOLE, "iterations": 500 if quick else 6_000, "steps": 1_000_000, "buffer_size": CAPACITY}
    rainbow = lambda name, **switches: ours(name, "iterations", algorithm="rainbow", **switches, **work)
    return Case(
        "rainbow",
        f"Rainbow on the work of DQN, {work['iterations']:,} iterations: prioritised 3-step against uniform 1-step",
        (
            rainbow("rainbow", prioritized=True, n_step=3),
            rainbow("same network, uniform, 1-step", prioritized=False, n_step=1),
            ours("dqn", "iterations", algorithm="dqn", **work),
        ),
        (
            Ratio("rainbow / same network, uniform", "rainbow", "same network, uniform, 1-step", at_least=0.6),
            Ratio("rainbow / dqn with its smaller network", "rainbow", "dqn"),
        ),
    )


def prioritized_seeds_case(quick: bool) -> Case:
    work = {"algorithm": "prioritized_dqn", "env": CARTPOLE, "steps": 1_000_000, "buffer_size": CAPACITY}
    few, many = (100, 500) if quick else (1_000, 6_000)
    return Case(
        "prioritized_seeds",
        "Prioritised DQN, batches of 64, an update at each step: 16 seeds on two CPU devices against one",
        (
            ours("16 seeds", "iterations", iterations=few, seeds=16, devices=2, **work),
            ours("1 seed", "iterations", iterations=many, **work),
        ),
        (Ratio("16 seeds / 1 seed", "16 seeds", "1 seed", at_least=1.5),),
    )


def actor_critic_work(algorithm: str, steps: int) -> dict[str, Any]:
    return {"algorithm": algorithm, "steps": steps, "buffer_size": CAPACITY, "learning_rate": 1e-3, "discount": 0.98}


def actor_critic_case(algorithm: str, quick: bool) -> Case:
    steps = 3_000 if quick else 20_000
    work = actor_critic_work(algorithm, steps)
    return Case(
        algorithm,
        f"{algorithm.upper()}, Pendulum-v1, {steps:,} steps of one environment, an update of batch 256 at each, 64-64 "
        f"relu, buffer {CAPACITY:,}",
        (
            ours("jaxrl", "whole_run", env=PENDULUM, hidden_sizes=[64, 64], **work),
            peer("rejax", "rejax_actor_critic.py", **work),
            peer("rejax, NPROC=1", "rejax_actor_critic.py", ONE_THREAD, **work),
        ),
        tuple(Ratio(f"jaxrl / {other}", "jaxrl", other, at_least=3.0) for other in ("rejax", "rejax, NPROC=1")),
    )


def actor_critic_replay_case(quick: bool) -> Case:
    steps = 3_000 if quick else 20_000
    changed = "{}, prioritised, 3-step".format
    contenders, ratios = [], []
    for name in ("sac", "td3"):
        run = partial(ours, env=PENDULUM, hidden_sizes=[64, 64], **actor_critic_work(name, steps))
        switches = {"prioritized": True, "n_step": 3}
        contenders += [run(name, "whole_run"), run(changed(name), "whole_run", switches=switches)]
        ratios += [Ratio(f"{changed(name)} / uniform", changed(name), name)]
    return Case(
        "actor_critic_replay",
        f"The work of the cases sac and td3, {steps:,} steps: prioritised 3-step replay against uniform 1-step",
        tuple(contenders),
        tuple(ratios),
    )


def host_sac_case(quick: bool) -> Case:
    steps = 2_000 if quick else 5_000
    work = {"steps": steps, "buffer_size": CAPACITY, "learning_rate": 3e-4, "discount": 0.99}
    mine = {"algorithm": "sac", "env": HOST_CHEETAH, "hidden_sizes": [256, 256], **work}
    products = {"steps": steps // 10, "operations": sac_operations(observation=17, action=6, width=256, batch=256)}
    jaxrl, names = "jaxrl, a thread a core", ("jaxrl, a thread a core", "jaxrl")
    return Case(
        "host_sac",
        f"SAC on Gymnasium's HalfCheetah-v5 (MuJoCo, on the host), {steps:,} steps, an update of batch 256 at each, "
        "256-256 relu",
        (
            ours("jaxrl", "whole_run", **mine),
            ours(jaxrl, "whole_run", THREAD_A_CORE, **mine),
            peer("stable-baselines3", "sb3_sac.py", **work),
            peer("stable-baselines3, 1 thread", "sb3_sac.py", threads=1, **work),
            peer("sbx", "sb3_sac.py", library="sbx", **work),
            plain("products of large matrices", "products.py", **products),
        ),
        (
            *(
                Ratio(f"{name} / {other}", name, other, at_least=bar)
                for name in names
                for other, bar in (("sbx", 1.5), ("stable-baselines3", 3.0), ("stable-baselines3, 1 thread", 3.0))
            ),
            Ratio("share of the peak of matrix products", jaxrl, "products of large matrices"),
        ),
    )


def sac_operations(*, observation: int, action: int, width: int, batch: int) -> int:
    """The multiplications and additions of SAC's update that are products of matrices, with two layers and two critics.

    A forward pass is one product for each layer; a backward pass two, but for the inputs of the first layer, of which
    only the actions of the actor's own update need a gradient.
    """
    actor = observation * width + width**2 + width * 2 * action
    critic = (observation + action) * width + width**2 + width
    of_actor = 4 * actor - observation * width
    of_critic = 6 * critic - (observation + action) * width - observation * width
    return 2 * batch * (of_actor + 2 * of_critic)


CASES: dict[str, Callable[[bool], Case]] = {
    "ppo": ppo_case,
    "ppo_8seeds": ppo_8seeds_case,
    "ppo_recurrence": ppo_recurrence_case,
    "ppo_minatar": ppo_minatar_case,
    "dqn": dqn_case,
    "dqn_capacity": dqn_capacity_case,
    "host_ppo": host_ppo_case,
    "compile": compile_case,
    "import": import_case,
    "sweep": sweep_case,
    "sum_tree": sum_tree_case,
    "rainbow": rainbow_case,
    "prioritized_seeds": prioritized_seeds_case,
    "sac": partial(actor_critic_case, "sac"),
    "td3": partial(actor_critic_case, "td3"),
    "actor_critic_replay": actor_critic_replay_case,
    "host_sac": host_sac_case,
}
"""By name: ``case(quick)``, where a quick case does little work, only to see that it runs."""
