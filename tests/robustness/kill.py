"""Kill runs at random moments, resume them, and compare the end with that of runs that nobody disturbed.

    python tests/robustness/kill.py --runs 50 --seed 0

Each kill is ``kill -9`` of a process ``python -m jaxrl train``, at a moment that is drawn anew: anywhere between its
start and its end, late ones more often, since a process begins with imports. A run is killed several times in a row,
each time resumed with ``--resume``, and then left to its end. Then:

- on a compiled environment, the last checkpoint is bit for bit that of the undisturbed run, and so are the rows of
  ``metrics.csv`` (but for times) and the final returns;
- on an environment of the host, whose simulators start new episodes, the shapes, the number of iterations and the steps
  of all reports are the same;
- ``metrics.csv`` and the event files of TensorBoard hold each step of each seed once: no holes, no doubles.

Exit status 1 if anything differs. ``--work`` keeps the folders; those of undisturbed runs are used again.
"""

from __future__ import annotations

import argparse
import collections
import csv
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

PLAN = {
    "num-intervals": 20, "num-evaluations": 2, "num-checkpoints": 10, "eval-episodes": 2, "num-seeds": 2,
    "env.max_episode_steps": 40,
}  # fmt: skip
REPLAY = {"config.hidden_sizes": "8", "config.buffer_size": 512, "config.batch_size": 16, "config.prefill": 64}
CASES = {
    "ppo": (
        ["ppo", "--env", "CartPole-v1"],
        {"total-steps": 2560, "config.num_envs": 4, "config.rollout_length": 8, "config.num_minibatches": 2,
         "config.num_epochs": 1, "config.hidden_sizes": "8"},
    ),
    "dqn prioritised": (
        ["dqn", "--env", "CartPole-v1"],
        {**REPLAY, "total-steps": 1600, "config.num_envs": 1, "config.steps_per_update": 4,
         "config.updates_per_iteration": 1, "config.target_update_period": 2, "config.prioritized": "true"},
    ),
    "sac": (
        ["sac", "--env", "Pendulum-v1"],
        {**REPLAY, "total-steps": 1200, "config.num_envs": 1, "config.steps_per_update": 4,
         "config.updates_per_iteration": 1},
    ),
    "ppo host": (
        ["ppo", "--env", "gymnasium:CartPole-v1"],
        {"total-steps": 2560, "config.num_envs": 4, "config.rollout_length": 8, "config.num_minibatches": 2,
         "config.num_epochs": 1, "config.hidden_sizes": "8"},
    ),
    "dqn prioritised host": (
        ["dqn", "--env", "gymnasium:CartPole-v1"],
        {**REPLAY, "total-steps": 1200, "config.num_envs": 1, "config.steps_per_update": 4,
         "config.updates_per_iteration": 1, "config.target_update_period": 2, "config.prioritized": "true"},
    ),
}  # fmt: skip
"""Arguments of ``jaxrl train`` by name."""

CLOCKS = ("seconds", "steps_per_second")


class Outcome(NamedTuple):
    """How a run that was killed again and again ended."""

    case: str
    kills: int
    while_training: int
    """Kills after the process had written a report of its own."""
    problems: list[str]


def command(case: str, out: Path) -> list[str]:
    """The command that starts a run."""
    words, options = CASES[case]
    given = [word for name, value in {**PLAN, **options}.items() for word in (f"--{name}", str(value))]
    given += ["--preset", "none", "--no-progress", "--out", str(out)]
    return [sys.executable, "-m", "jaxrl", "train", *words, *given]


def resumed(out: Path) -> list[str]:
    return [sys.executable, "-m", "jaxrl", "train", "--no-progress", "--resume", str(out)]


def run_to_the_end(words: list[str], log: Path) -> float:
    """Run a command; returns its seconds."""
    began = time.monotonic()
    with log.open("a") as file:
        status = subprocess.run(words, stdout=file, stderr=file).returncode
    if status != 0:
        raise SystemExit(f"exit status {status} of {' '.join(words)}:\n{log.read_text()[-2000:]}")
    return time.monotonic() - began


def run_and_kill(words: list[str], seconds: float, log: Path, out: Path) -> tuple[bool, bool]:
    """Kill a command so long after its start; returns whether it was still running, and had reported something."""
    before = report_size(out)
    with log.open("a") as file:
        process = subprocess.Popen(words, stdout=file, stderr=file)
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            return True, report_size(out) != before
    if status != 0:
        raise SystemExit(f"exit status {status} of {' '.join(words)}:\n{log.read_text()[-2000:]}")
    return False, True


def report_size(out: Path) -> int:
    path = out / "metrics.csv"
    return path.stat().st_size if path.exists() else 0


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "metrics.csv").open() as file:
        return [{k: v for k, v in row.items() if k not in CLOCKS} for row in csv.DictReader(file)]


def events(out: Path) -> dict[tuple[str, int, str], list[float]]:
    """All values in the event files, by seed's folder, step and tag."""
    from jaxrl.experiment.tensorboard import read_events

    found = collections.defaultdict(list)
    for path in (out / "tensorboard").rglob("events.*"):
        for event, _ in read_events(path):
            for value in event.summary.value:
                found[path.parent.name, event.step, value.tag].append(value.simple_value)
    return {key: values for key, values in found.items() if not key[2].startswith("time/")}


def leaves(out: Path) -> dict[str, np.ndarray]:
    """The arrays of the last checkpoint."""
    import orbax.checkpoint as ocp

    newest = max(int(p.name) for p in (out / "checkpoints").iterdir() if p.name.isdecimal())
    folder = out.absolute() / "checkpoints" / str(newest) / "state"
    state = ocp.Checkpointer(ocp.StandardCheckpointHandler()).restore(folder)
    return {f"{newest} {name}": np.asarray(x) for name, x in state.items()}


def differences(straight: Path, out: Path, exact: bool) -> list[str]:
    """What is not as it should be, in words."""
    problems = []
    there, here = rows(straight), rows(out)
    steps = lambda table: [(row["steps"], row["seed"]) for row in table]
    if steps(there) != steps(here):
        problems.append(f"metrics.csv has {len(here)} rows, not the {len(there)} of the same steps and seeds")
    elif exact and there != here:
        problems.append("metrics.csv has other values")
    expected, board = events(straight), events(out)
    doubles = sum(len(values) > 1 for values in board.values())
    if doubles:
        problems.append(f"TensorBoard has {doubles} values more than once")
    if exact and (apart := expected.keys() ^ board.keys()):
        lacking = len(apart - board.keys())
        problems.append(f"TensorBoard lacks {lacking} values and has {len(apart) - lacking} more")
    if exact and not doubles and any(board[key] != expected[key] for key in expected.keys() & board.keys()):
        problems.append("TensorBoard has other values")
    # Which metrics have values depends on the episodes; the table and the files are to have the same.
    in_table = {(row["steps"], row["seed"]) for row in here}
    in_board = {(str(step), folder.removeprefix("seed_")) for folder, step, _ in board}
    if in_table != in_board:
        problems.append(f"TensorBoard and metrics.csv differ in {len(in_table ^ in_board)} steps")
    one, other = leaves(straight), leaves(out)
    shapes = lambda tree: {name: (x.shape, x.dtype) for name, x in tree.items()}
    if shapes(one) != shapes(other):
        problems.append("the last checkpoint is of another step or shape")
    elif exact and any(one[name].tobytes() != other[name].tobytes() for name in one):
        problems.append("the last checkpoint has other bits")
    final = [json.loads((d / "summary.json").read_text())["final_return"] for d in (straight, out)]
    if exact and final[0] != final[1]:
        problems.append("the final returns differ")
    return problems


def kill_again_and_again(
    case: str, kills: int, seconds: dict[str, float], straight: Path, out: Path, rng: random.Random
) -> Outcome:
    """Kill one run so many times, let it end, and compare; ``seconds`` that prove too long are made shorter."""
    log, while_training, done = out.with_suffix(".log"), 0, 0
    words, killed = command(case, out), True
    while done < kills and killed:
        began = time.monotonic()
        killed, reported = run_and_kill(words, rng.triangular(0.05, seconds[case], seconds[case]), log, out)
        if not killed:  # it ended before its moment came
            seconds[case] = min(seconds[case], time.monotonic() - began)
            break
        done, while_training = done + 1, while_training + reported
        # A process that was killed before it had written its settings left nothing to resume.
        words = resumed(out) if (out / "config.yaml").exists() else command(case, out)
    if killed:
        run_to_the_end(words, log)
    return Outcome(case, done, while_training, differences(straight, out, exact="host" not in case))


def print_table(outcomes: list[Outcome], cases: list[str]) -> None:
    print(f"\n{'case':24}{'runs':>6}{'kills':>7}{'while training':>16}{'runs that differ':>18}")
    for case in cases:
        of_case = [o for o in outcomes if o.case == case]
        kills, while_training = sum(o.kills for o in of_case), sum(o.while_training for o in of_case)
        differ = sum(bool(o.problems) for o in of_case)
        print(f"{case:24}{len(of_case):6}{kills:7}{while_training:16}{differ:18}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=50, help="kills in all (50)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (0)")
    parser.add_argument("--each", type=int, default=5, help="kills of one run before it is left to its end (5)")
    parser.add_argument("--cases", nargs="*", default=list(CASES), choices=list(CASES), help="all by default")
    parser.add_argument("--work", type=Path, help="a folder to keep; by default a temporary one")
    given = parser.parse_args()
    rng, began = random.Random(given.seed), time.monotonic()
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(given.work or temporary)
        work.mkdir(parents=True, exist_ok=True)
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(work / "cache"))
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
        seconds = {}
        for case in given.cases:
            for attempt in ("cold", "straight"):  # the second one finds its programs compiled, as those to be killed do
                out = work / f"{case} {attempt}"
                if (summary := out / "summary.json").exists():  # of an earlier call
                    seconds[case] = json.loads(summary.read_text())["wall_seconds"]
                else:
                    seconds[case] = run_to_the_end(command(case, out), out.with_suffix(".log"))
        while (left := given.runs - sum(o.kills for o in outcomes)) > 0:
            case = given.cases[len(outcomes) % len(given.cases)]
            out = work / f"{case} {len(outcomes)}"
            outcome = kill_again_and_again(case, min(left, given.each), seconds, work / f"{case} straight", out, rng)
            outcomes.append(outcome)
            print(f"{case}: {outcome.kills} kills, {'; '.join(outcome.problems) or 'as undisturbed'}", flush=True)
    print_table(outcomes, given.cases)
    kills, bad = sum(o.kills for o in outcomes), sum(bool(o.problems) for o in outcomes)
    print(f"{kills} kills in {len(outcomes)} runs, {bad} of which differ ({time.monotonic() - began:.0f} s)")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
