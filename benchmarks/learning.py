"""Learning, beside published numbers: ``python benchmarks/learning.py``.

Trains a matrix of algorithm, environment and seeds through the plain command line (``jaxrl train ...``, with
whatever preset that takes by itself), gathers what each run says of itself in ``summary.json``, and writes
JSON with a description of the machine, and a table in Markdown. See README.md beside this file.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean, pstdev
from typing import Any

import yaml
from machine import ROOT, describe

RESULTS = Path(__file__).parent / "results"


@dataclasses.dataclass(frozen=True)
class Row:
    """One run of several seeds, and the bars that the project sets itself."""

    algorithm: str
    env: str
    total_steps: int
    num_seeds: int
    mean_at_least: float | None = None
    lowest_at_least: float | None = None

    @property
    def name(self) -> str:
        return f"{self.algorithm}/{self.env}"

    def arguments(self) -> list[str]:
        """What a user would type after ``jaxrl``."""
        return [
            "train", self.algorithm, "--env", self.env, "--total-steps", str(self.total_steps),
            "--seed", "0", "--num-seeds", str(self.num_seeds),
        ]  # fmt: skip

    def quick(self) -> Row:
        """Hardly any training, to see that it runs; without bars."""
        steps = min(self.total_steps, 4_096)
        return Row(self.algorithm, self.env, steps, min(self.num_seeds, 2))


@dataclasses.dataclass(frozen=True)
class Published:
    """What others report for an algorithm on an environment."""

    source: str
    value: float
    deviation: float | None
    steps: int | None
    kind: str
    """Of which return it is the mean."""


MATRIX = (
    Row("ppo", "CartPole-v1", 500_000, 16, mean_at_least=490.0, lowest_at_least=450.0),
    Row("dqn", "CartPole-v1", 100_000, 16, mean_at_least=475.0),
    Row("ppo", "Pendulum-v1", 400_000, 8, mean_at_least=-200.0),
    Row("ppo", "gymnasium:CartPole-v1", 300_000, 3, mean_at_least=475.0),
)

TRAINING = "training return (± over 3 seeds)"
DETERMINISTIC = "deterministic evaluation of the final model (± over episodes)"
PUBLISHED = {
    "ppo/CartPole-v1": (
        Published("CleanRL, ppo.py", 490.04, 6.12, 500_000, TRAINING),
        Published("RL Baselines3 Zoo, PPO", 500.0, 0.0, 100_000, DETERMINISTIC),
        Published("gymnax-blines, PPO", 500.0, None, None, "evaluation of a trained checkpoint"),
    ),
    "dqn/CartPole-v1": (
        Published("CleanRL, dqn_jax.py", 498.38, 2.29, 500_000, TRAINING),
        Published("CleanRL, dqn.py", 488.69, 16.11, 500_000, TRAINING),
        Published("RL Baselines3 Zoo, DQN", 500.0, 0.0, 50_000, DETERMINISTIC),
    ),
    "ppo/Pendulum-v1": (
        Published("RL Baselines3 Zoo, PPO", -172.2, 104.2, 100_000, DETERMINISTIC),
        Published("gymnax-blines, PPO", -130.0, None, None, "evaluation of a trained checkpoint"),
    ),
}
"""By ``without_suite(row.name)``."""


def main() -> int:
    arguments = parse_arguments()
    rows = [*MATRIX, *(Row(a, e, int(n), int(s)) for a, e, n, s in arguments.row)]
    if arguments.rows:
        wanted = arguments.rows.split(",")
        unknown = sorted(set(wanted) - {row.name for row in rows})
        if unknown:
            print(f"unknown row {', '.join(unknown)}; there are {', '.join(row.name for row in rows)}", file=sys.stderr)
            return 2
        rows = [row for row in rows if row.name in wanted]
    if arguments.quick:
        rows = [row.quick() for row in rows]

    result = {"machine": describe(), "quick": arguments.quick, "rows": []}
    date = result["machine"]["date"]
    runs = Path(arguments.runs or ROOT / "runs" / f"learning-{datetime.now(UTC):%Y%m%d-%H%M%S}")
    which = ["learning", *(["quick"] if arguments.quick else []), *(map(file_name, rows) if arguments.rows else [])]
    out = Path(arguments.out or RESULTS / f"{'-'.join(which)}-{date[:10]}.json")
    out.parent.mkdir(parents=True, exist_ok=True)
    for row in rows:
        print(f"  jaxrl {shlex.join(row.arguments())}", file=sys.stderr, flush=True)
        result["rows"].append(train(row, runs / file_name(row)))
        out.write_text(json.dumps(result, indent=1) + "\n")
        out.with_suffix(".md").write_text(table(result))
    print(f"\n{table(result)}\nKept in {out} and {out.with_suffix('.md')}; the runs are in {runs}")
    return 1 if any(row["failed"] for row in result["rows"]) else 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", help=f"comma-separated; all by default: {', '.join(row.name for row in MATRIX)}")
    parser.add_argument(
        "--row", nargs=4, action="append", default=[], metavar=("ALGO", "ENV", "STEPS", "SEEDS"), help="one more row"
    )
    parser.add_argument("--quick", action="store_true", help="hardly any training, to see that everything runs")
    parser.add_argument("--runs", help="folder of the runs; by default a new one below runs/")
    parser.add_argument("--out", help="the JSON file; by default benchmarks/results/learning[-ROWS]-DATE.json")
    return parser.parse_args()


def file_name(row: Row) -> str:
    return row.name.replace("/", "-").replace(":", "-")


def without_suite(name: str) -> str:
    """``algorithm/environment``, without the prefix of the environment's suite."""
    algorithm, env = name.split("/", 1)
    return f"{algorithm}/{env.rpartition(':')[2]}"


def train(row: Row, directory: Path) -> dict[str, Any]:
    """Train as a user would, and read what the run left."""
    kept = {
        "name": row.name,
        "command": f"jaxrl {shlex.join(row.arguments())}",
        **dataclasses.asdict(row),
        "published": [dataclasses.asdict(p) for p in PUBLISHED.get(without_suite(row.name), ())],
        "failed": None,
    }
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "jaxrl", *row.arguments(), "--out", str(directory)]
    run = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, stdout=sys.stderr)
    if run.returncode:
        return {**kept, "failed": f"exit status {run.returncode}"}
    summary = json.loads((directory / "summary.json").read_text())
    returns = summary["final_return"]
    bars = [(mean(returns), row.mean_at_least), (min(returns), row.lowest_at_least)]
    bars = [value >= bar for value, bar in bars if bar is not None]
    return {
        **kept,
        "preset": yaml.safe_load((directory / "config.yaml").read_text()).get("preset"),
        "mean": mean(returns),
        "deviation": pstdev(returns),
        "lowest": min(returns),
        "holds": all(bars) if bars else None,
        "summary": summary,
    }


def table(result: dict[str, Any]) -> str:
    """The rows as Markdown, with the published numbers below."""
    machine = result["machine"]
    lines = [
        f"Measured on {machine['processor']} with {machine['cores']} cores, {machine['date'][:10]}"
        f" (jax {machine['versions'].get('jax')}). The return is each seed's mean over its final deterministic"
        " episodes, steps/s are those of all seeds together."
        + (" A QUICK RUN: no measurement." if result["quick"] else ""),
        "",
        "| work | steps | seeds | return ± over seeds | lowest seed | bar | holds | steps/s | wall s | compile s |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        start = f"| {row['name']} | {row['total_steps']:,} | {row['num_seeds']} |"
        if row["failed"]:
            lines.append(f"{start} failed: {row['failed']} | | | | | | |")
            continue
        summary, holds = row["summary"], {True: "yes", False: "NO", None: ""}[row["holds"]]
        lines.append(
            f"{start} {row['mean']:.1f} ± {row['deviation']:.1f} | {row['lowest']:.1f} | {_bar(row)} | {holds} "
            f"| {summary['steps_per_second']:,.0f} | {summary['wall_seconds']:.1f} | {summary['compile_seconds']:.1f} |"
        )
    lines += ["", "| published for | value | steps | which return | source |", "|---|---|---|---|---|"]
    for name in dict.fromkeys(without_suite(row["name"]) for row in result["rows"]):
        for p in PUBLISHED.get(name, ()):
            deviation = "" if p.deviation is None else f" ± {p.deviation:g}"
            steps = "" if p.steps is None else f"{p.steps:,}"
            lines.append(f"| {name} | {p.value:g}{deviation} | {steps} | {p.kind} | {p.source} |")
    return "\n".join(lines) + "\n"


def _bar(row: dict[str, Any]) -> str:
    bars = [("mean", row["mean_at_least"]), ("lowest", row["lowest_at_least"])]
    return ", ".join(f"{name} >= {bar:g}" for name, bar in bars if bar is not None)


if __name__ == "__main__":
    sys.exit(main())
