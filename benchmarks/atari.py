"""Atari: stepping beside the bare simulator, and learning beside published numbers: ``python benchmarks/atari.py``.

``--stepping`` steps a random policy through our vector environment, through our driver with replay, and through ALE's
own vector environment, in turn, in one process.
Otherwise each algorithm is trained on each game through the plain command line (``jaxrl train ...``). Results are
JSON with a description of the machine; of training also a table in Markdown and a picture for each game.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.metadata
import itertools
import json
import shlex
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import learning
import numpy as np
from machine import ROOT, describe
from matrix import Published, Row

LINES = ("--", ":", "-.", (0, (6, 2)), (0, (1, 3)))
BAR = 0.9
"""Steps per second of ours over those of the bare simulator."""
REPLAY = 50_000
"""Frames that the driver keeps while it is measured."""

CLEANRL = "training return, ± over 3 seeds; lives terminate, no sticky actions"
ZOO = "evaluation of the final model, ± over episodes; no sticky actions"
DOPAMINE = "training return, mean of 5 seeds; whole games, sticky actions 0.25"
READ = "training return, read from a page or a picture"


def cleanrl(script: str, value: float, deviation: float | None = None) -> Published:
    return Published(f"CleanRL, {script}", value, deviation, 10_000_000, CLEANRL)


def zoo(name: str, value: float, deviation: float) -> Published:
    return Published(f"RL Baselines3 Zoo, {name}", value, deviation, 10_000_000, ZOO)


def dopamine(name: str, at_10m_frames: float, at_200m_frames: float) -> tuple[Published, Published]:
    """From ``baselines/atari/data``; a step of the agent is four frames."""
    return (
        Published(f"Dopamine, {name}", at_10m_frames, None, 2_500_000, DOPAMINE),
        Published(f"Dopamine, {name}", at_200m_frames, None, 50_000_000, DOPAMINE),
    )


PUBLISHED: dict[str, tuple[Published, ...]] = {
    "dqn/Pong": (
        cleanrl("dqn_atari_jax.py", 20.43, 0.34),
        zoo("DQN", 20.6, 0.61),
        *dopamine("DQN in JAX (Adam, MSE)", 6.34, 19.7),
        Published("Lightning Bolts, DQN", 21.0, None, 450_000, READ),
        Published("Lightning Bolts, n-step DQN", 21.0, None, 170_000, READ),
    ),
    "dqn/Breakout": (
        cleanrl("dqn_atari_jax.py", 377.82, 34.91),
        zoo("DQN", 358.3, 62.0),
        *dopamine("DQN in JAX (Adam, MSE)", 46.9, 197.1),
    ),
    "dqn/BeamRider": (
        cleanrl("dqn_atari_jax.py", 5938.13, 955.84),
        zoo("DQN", 4296.0, 1790.0),
        *dopamine("DQN in JAX (Adam, MSE)", 5218.0, 5818.0),
    ),
    "dqn/Qbert": (zoo("DQN", 9497.0, 5400.0), *dopamine("DQN in JAX (Adam, MSE)", 1495.0, 10610.0)),
    "dqn/Seaquest": (zoo("DQN", 2000.0, 606.6), *dopamine("DQN in JAX (Adam, MSE)", 875.7, 5130.0)),
    "dqn/SpaceInvaders": (zoo("DQN", 622.7, 201.6), *dopamine("DQN in JAX (Adam, MSE)", 704.5, 4333.0)),
    "dqn/MsPacman": (zoo("DQN", 2683.0, 492.6), *dopamine("DQN in JAX (Adam, MSE)", 2074.0, 3487.0)),
    "c51/Pong": (cleanrl("c51_atari_jax.py", 19.88, 0.31), *dopamine("C51", -6.09, 19.4)),
    "c51/Breakout": (cleanrl("c51_atari_jax.py", 448.56, 17.02), *dopamine("C51", 47.1, 204.9)),
    "c51/BeamRider": (cleanrl("c51_atari_jax.py", 9504.91, 709.69), *dopamine("C51", 2414.0, 5236.0)),
    "c51/SpaceInvaders": dopamine("C51", 685.6, 3935.0),
    "qr_dqn/Pong": (zoo("QR-DQN", 20.5, 0.69), *dopamine("QR-DQN in JAX", 15.2, 19.7)),
    "qr_dqn/Breakout": (zoo("QR-DQN", 393.6, 79.8), *dopamine("QR-DQN in JAX", 31.9, 55.6)),
    "qr_dqn/BeamRider": (zoo("QR-DQN", 17123.0, 10770.0), *dopamine("QR-DQN in JAX", 5753.0, 6432.0)),
    "qr_dqn/SpaceInvaders": (zoo("QR-DQN", 1900.0, 823.5), *dopamine("QR-DQN in JAX", 693.3, 1033.0)),
    "iqn/Pong": dopamine("IQN", 15.2, 20.2),
    "iqn/Breakout": dopamine("IQN", 102.7, 80.7),
    "iqn/BeamRider": dopamine("IQN", 3986.0, 7019.0),
    "iqn/SpaceInvaders": dopamine("IQN", 823.4, 4566.0),
    "rainbow/Pong": dopamine("Rainbow", 15.2, 20.1),
    "rainbow/Breakout": dopamine("Rainbow", 41.9, 107.1),
    "rainbow/BeamRider": dopamine("Rainbow", 5983.0, 6224.0),
    "rainbow/SpaceInvaders": (cleanrl("rainbow_atari.py", 1836.0), *dopamine("Rainbow", 743.7, 4117.0)),
    "rainbow/MsPacman": (cleanrl("rainbow_atari.py", 3113.0), *dopamine("Rainbow", 2347.0, 3921.0)),
    "ppo/Pong": (
        cleanrl("ppo_atari.py", 20.36, 0.20),
        cleanrl("ppo_atari_envpool_xla_jax.py", 20.39, 0.24),
        zoo("PPO", 21.0, 0.10),
        Published("rl_games, envpool, 64 games", 20.0, None, 1_230_000, READ),
    ),
    "ppo/Breakout": (
        cleanrl("ppo_atari.py", 414.66, 28.09),
        cleanrl("ppo_atari_envpool_xla_jax.py", 430.09, 8.12),
        zoo("PPO", 398.0, 33.3),
        Published("rl_games, envpool", 400.0, None, 12_300_000, READ),
    ),
    "ppo/BeamRider": (
        cleanrl("ppo_atari.py", 1915.93, 484.58),
        cleanrl("ppo_atari_envpool_xla_jax.py", 2478.44, 336.55),
        zoo("PPO", 3397.0, 1662.0),
    ),
    "ppo/SpaceInvaders": (cleanrl("ppo_atari_envpool_xla_jax.py", 1188.82), zoo("PPO", 960.3, 425.4)),
    "pqn/Pong": (cleanrl("pqn_atari_envpool.py", 20.49, 0.11),),
    "pqn/Breakout": (cleanrl("pqn_atari_envpool.py", 384.85, 12.39),),
    "pqn/BeamRider": (cleanrl("pqn_atari_envpool.py", 5753.03, 2394.70),),
    "pqn/SpaceInvaders": (cleanrl("pqn_atari_envpool.py", 1325.20),),
}
"""By ``algorithm/game``; what others report, with their protocol."""


def main() -> int:
    arguments = parse_arguments()
    return stepping(arguments) if arguments.stepping else train(arguments)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--games", default="Pong", help="comma-separated; Pong")
    parser.add_argument("--out", help="the JSON file; by default benchmarks/results/atari-....json")
    group = parser.add_argument_group("stepping")
    group.add_argument("--stepping", action="store_true", help="measure steps per second of a random policy")
    group.add_argument("--num-envs", default="8,32,128", help="comma-separated; 8,32,128")
    group.add_argument("--rounds", type=int, default=21, help="in each of which both take their turn; 21")
    group.add_argument("--round-seconds", type=float, default=1.0, help="of each turn, about; 1")
    group = parser.add_argument_group("training")
    group.add_argument("--algorithms", default="dqn,ppo", help="comma-separated; dqn,ppo")
    group.add_argument("--seeds", type=int, default=1, help="of each run; 1")
    group.add_argument("--total-steps", type=int, default=2_000_000, help="of each seed; 2000000")
    group.add_argument("--at-least", type=float, help="a bar for the mean final return")
    group.add_argument("--options", default="", help="more of jaxrl train, such as '--env.protocol machado'")
    group.add_argument("--runs", help="folder of the runs, in which begun ones go on; a new one below runs/")
    return parser.parse_args()


# Stepping.


def stepping(arguments: argparse.Namespace) -> int:
    result = {"machine": description(), "bar": BAR, "stepping": []}
    for game in arguments.games.split(","):
        for num_envs in map(int, arguments.num_envs.split(",")):
            row = measure_stepping(game, num_envs, arguments.rounds, arguments.round_seconds)
            result["stepping"].append(row)
            print(f"{game}, {num_envs:3} games: bare {median(row['bare']):8,.0f} steps/s")
            for name in ("ours", "driver"):
                ratios = row[f"{name}_ratios"]
                print(
                    f"  {name:6} {median(row[name]):8,.0f} steps/s, ratio {median(ratios):.3f} "
                    f"({min(ratios):.3f} to {max(ratios):.3f}), bar {BAR}: {'yes' if row['holds'][name] else 'NO'}"
                )
    out = output(arguments, "atari-stepping", result)
    out.write_text(json.dumps(result, indent=1) + "\n")
    print(f"Kept in {out}")
    return 0 if all(all(row["holds"].values()) for row in result["stepping"]) else 1


def measure_stepping(game: str, num_envs: int, rounds: int, seconds: float) -> dict[str, Any]:
    """Steps per second of each, round by round; the two vector environments step the same games by the same actions."""
    import jax
    from ale_py.vector_env import AtariVectorEnv

    from jaxrl import envs, training
    from jaxrl.algorithms import dqn
    from jaxrl.envs.atari_adapter import _games

    env = envs.make(f"atari:{game}")
    ours = env.make_vector(num_envs)
    # Its defaults are those of the classic protocol, in next-step mode, with four frames to a stack.
    bare = AtariVectorEnv(_games()[game], num_envs, reward_clipping=False)
    action = np.random.default_rng(0).integers(env.action_space.n, size=(1024, num_envs), dtype=np.int32)
    ours.reset(0)
    bare.reset(seed=0)
    steps = max(1, round(seconds * rate(bare.step, action, 100) / num_envs))
    rate(ours.step, action, 100)

    config = dqn.Config(num_envs=num_envs, buffer_size=REPLAY, prefill=num_envs)
    driver = training.make_runner(dqn.make(env.spec, config), env, 10 * num_envs, seeds=(0,))
    state = driver.random_steps(driver.init(), 100)

    def driven() -> float:
        nonlocal state
        start = time.perf_counter()
        state = jax.block_until_ready(driver.random_steps(state, steps))
        return steps * num_envs / (time.perf_counter() - start)

    measured: dict[str, list[float]] = {"bare": [], "ours": [], "driver": []}
    turns = [("bare", lambda: rate(bare.step, action, steps)), ("ours", lambda: rate(ours.step, action, steps))]
    turns.append(("driver", driven))
    for i in range(rounds):
        for name, turn in turns if i % 2 == 0 else turns[::-1]:
            measured[name].append(turn())
    ratios = {
        f"{name}_ratios": [x / b for x, b in zip(measured[name], measured["bare"], strict=True)]
        for name in ("ours", "driver")
    }
    ours.close()
    driver.close()
    return {
        "game": game, "num_envs": num_envs, "steps_a_turn": steps * num_envs, **measured, **ratios,
        "holds": {name: median(ratios[f"{name}_ratios"]) >= BAR for name in ("ours", "driver")},
    }  # fmt: skip


def rate(step: Callable[[np.ndarray], Any], action: np.ndarray, steps: int) -> float:
    """Steps per second, of all games together."""
    start = time.perf_counter()
    for t in range(steps):
        step(action[t % len(action)])
    return steps * action.shape[1] / (time.perf_counter() - start)


# Training.


def train(arguments: argparse.Namespace) -> int:
    options = tuple(shlex.split(arguments.options))
    algorithms, games = arguments.algorithms.split(","), arguments.games.split(",")
    runs = Path(arguments.runs or ROOT / "runs" / f"atari-{datetime.now(UTC):%Y%m%d-%H%M%S}")
    result = {"machine": description(), "quick": False, "rows": []}
    out = output(arguments, f"atari-{'-'.join([*algorithms, *games])}", result)
    for game in games:
        for algorithm in algorithms:
            row = Row(
                algorithm, f"atari:{game}", arguments.total_steps, arguments.seeds, arguments.at_least, options=options
            )
            print(f"  {learning.command_of(row)}", file=sys.stderr, flush=True)
            directory = runs / f"{algorithm}-{game}"
            kept = learning.train(row, directory)
            kept["published"] = [dataclasses.asdict(p) for p in PUBLISHED.get(f"{algorithm}/{game}", ())]
            if not kept["failed"]:
                kept["curve"] = curve(directory)
            result["rows"].append(kept)
            out.write_text(json.dumps(result, indent=1) + "\n")
            out.with_suffix(".md").write_text(table(result))
        picture = out.with_name(f"{out.stem}-{game}.png" if len(games) > 1 else f"{out.stem}.png")
        plot(game, [row for row in result["rows"] if row["env"] == f"atari:{game}" and not row["failed"]], picture)
    print(f"\n{table(result)}\nKept in {out} and beside it; the runs are in {runs}")
    return 1 if any(row["failed"] for row in result["rows"]) else 0


def curve(directory: Path) -> dict[str, list[Any]]:
    """Training and evaluation returns of a run by seed and steps, None where there is none."""
    from jaxrl.experiment.loggers import read_csv

    columns = read_csv(directory / "metrics.csv")
    names = ("steps", "seed", "seconds", "episode_return", "eval_return")
    return {name: [float(v) if np.isfinite(v) else None for v in columns[name]] for name in names}


def best_training_return(row: dict[str, Any]) -> tuple[float, int]:
    """The highest training return over the reports, as the mean over seeds, and the steps that it took."""
    steps, values = training_curve(row)
    best = int(np.nanargmax(values))
    return float(values[best]), int(steps[best])


def training_curve(row: dict[str, Any], name: str = "episode_return") -> tuple[np.ndarray, np.ndarray]:
    """Steps ``[T]`` and the mean over seeds of what is known."""
    steps, values = np.array(row["curve"]["steps"]), np.array(row["curve"][name], float)
    known = np.isfinite(values)
    grid = np.unique(steps[known])
    return grid, np.array([values[known & (steps == s)].mean() for s in grid])


def table(result: dict[str, Any]) -> str:
    """The rows as Markdown, and the published numbers below."""
    machine = result["machine"]
    lines = [
        f"Measured on {machine['processor']} with {machine['cores']} cores, {machine['date'][:10]}"
        f" (jax {machine['versions'].get('jax')}, ale-py {machine['versions'].get('ale-py')}). A step of the agent is"
        " four frames. The training return is the highest of a report, the final one of whole games, without"
        " exploration and with the raw score.",
        "",
        "| work | options | steps | seeds | training return, best (at step) | final return ± over seeds | bar | holds "
        "| steps/s | wall min |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        start = f"| {row['name']} | {' '.join(row['options'])} | {row['total_steps']:,} | {row['num_seeds']} |"
        if row["failed"]:
            lines.append(f"{start} failed: {row['failed']} | | | | | |")
            continue
        best, at = best_training_return(row)
        summary, bar = row["summary"], "" if row["mean_at_least"] is None else f">= {row['mean_at_least']:g}"
        holds = {True: "yes", False: "NO", None: ""}[row["holds"]]
        lines.append(
            f"{start} {best:.1f} ({at:,}) | {row['mean']:.1f}{learning.over_seeds(row)} | {bar} | {holds} "
            f"| {summary['steps_per_second']:,.0f} | {summary['wall_seconds'] / 60:.0f} |"
        )
    lines += ["", "| published for | value | steps | which return | source |", "|---|---|---|---|---|"]
    for row in result["rows"]:
        for p in row["published"]:
            deviation = "" if p["deviation"] is None else f" ± {p['deviation']:g}"
            lines.append(
                f"| {row['what']} | {p['value']:g}{deviation} | {p['steps']:,} | {p['kind']} | {p['source']} |"
            )
    return "\n".join(lines) + "\n"


def plot(game: str, rows: list[dict[str, Any]], path: Path) -> None:
    """Curves of training returns, dots of evaluations, and what others report: as a star where it was reached in as
    many steps, as a line where it took longer."""
    if not rows:
        return
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter

    from jaxrl.experiment.figures import COLOURS

    figure = Figure(figsize=(9, 5.4), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    last = max(max(row["curve"]["steps"]) for row in rows)
    for row, colour in zip(rows, COLOURS, strict=False):
        axes.plot(*training_curve(row), color=colour, label=f"{row['algorithm']}, training")
        axes.plot(*training_curve(row, "eval_return"), "o", color=colour, markersize=4, label="its evaluation")
        for p, line in zip(row["published"], itertools.cycle(LINES), strict=False):
            text = f"{p['value']:g}  {p['source']}, {p['steps'] / 1e6:g}M"
            if p["steps"] <= last:
                axes.plot(p["steps"], p["value"], "*", color=colour, markersize=11, markeredgecolor="white", label=text)
            else:
                axes.axhline(p["value"], color=colour, linewidth=0.9, linestyle=line, alpha=0.7, label=text)
    axes.set_title(game, loc="left", fontweight="bold")
    axes.set_xlabel("steps of the agent (four frames each)")
    axes.set_ylabel("return, raw score")
    axes.set_xlim(0, last * 1.02)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.grid(True, color="0.9", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper", fontsize=7, frameon=False)
    figure.savefig(path)


def description() -> dict[str, Any]:
    """What a result was measured on, with the simulator's version."""
    machine = describe()
    machine["versions"]["ale-py"] = importlib.metadata.version("ale-py")
    return machine


def output(arguments: argparse.Namespace, name: str, result: dict[str, Any]) -> Path:
    out = Path(arguments.out or learning.RESULTS / f"{name}-{result['machine']['date'][:10]}.json")
    out.parent.mkdir(parents=True, exist_ok=True)
    return out


if __name__ == "__main__":
    sys.exit(main())
