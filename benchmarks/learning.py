"""Learning, beside published numbers: ``python benchmarks/learning.py``.

Trains a matrix of algorithm, environment and seeds through the plain command line (``jaxrl train ...``, with
whatever preset that takes by itself), gathers what each run says of itself in ``summary.json``, and writes
JSON with a description of the machine, and a table in Markdown. See README.md beside this file.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import math
import os
import re
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean, pstdev
from typing import Any

import numpy as np
import yaml
from machine import ROOT, describe
from matrix import LAST_INTERVALS, MATRIX, PUBLISHED, Row, labels

from jaxrl.experiment.loggers import read_csv
from jaxrl.experiment.plots import Run, draw

RESULTS = Path(__file__).parent / "results"


def main() -> int:
    arguments = parse_arguments()
    if arguments.draw:
        draw_curves(json.loads(Path(arguments.draw).read_text()), Path(arguments.draw))
        return 0
    rows = [*MATRIX, *(Row(a, e, int(n), int(s)) for a, e, n, s in arguments.row)]
    wanted = arguments.rows.split(",") if arguments.rows else []
    unknown = sorted(set(wanted) - {name for row in rows for name in row.names})
    if unknown:
        known = ", ".join(dict.fromkeys(row.name for row in rows))
        print(f"unknown row {', '.join(unknown)}; there are {known}", file=sys.stderr)
        return 2
    rows = [row for row in rows if not wanted or not set(wanted).isdisjoint(row.names)]
    if arguments.quick:
        rows = [row.quick() for row in rows]

    result = {"machine": describe(), "quick": arguments.quick, "rows": []}
    date = result["machine"]["date"]
    runs = Path(arguments.runs or ROOT / "runs" / f"learning-{datetime.now(UTC):%Y%m%d-%H%M%S}")
    which = ["learning", *(["quick"] if arguments.quick else []), *map(in_a_file_name, wanted)]
    out = Path(arguments.out or RESULTS / f"{'-'.join(which)}-{date[:10]}.json")
    out.parent.mkdir(parents=True, exist_ok=True)
    for row in rows:
        print(f"  {command_of(row)}", file=sys.stderr, flush=True)
        result["rows"].append(train(row, runs / row.folder))
        out.write_text(json.dumps(result, indent=1) + "\n")
        out.with_suffix(".md").write_text(table(result))
    draw_curves(result, out)
    print(f"\n{table(result)}\nKept in {out} and beside it; the runs are in {runs}")
    return 1 if any(row["failed"] for row in result["rows"]) else 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", help="comma-separated algorithms, environments or ALGO/ENV; all by default")
    parser.add_argument(
        "--row", nargs=4, action="append", default=[], metavar=("ALGO", "ENV", "STEPS", "SEEDS"), help="one more row"
    )
    parser.add_argument(
        "--draw", metavar="FILE", help="draw the curves in a JSON file of results again, and train nothing"
    )
    parser.add_argument("--quick", action="store_true", help="hardly any training, to see that everything runs")
    parser.add_argument("--runs", help="folder of the runs, in which begun ones go on; a new one below runs/")
    parser.add_argument("--out", help="the JSON file; by default benchmarks/results/learning[-ROWS]-DATE.json")
    return parser.parse_args()


def in_a_file_name(name: str) -> str:
    return re.sub(r"\W+", "-", name)


def train(row: Row, directory: Path) -> dict[str, Any]:
    """Train as a user would, and read what the run left.

    A run that is already in ``directory`` goes on from its last checkpoint; of one that is finished only the result is
    taken.
    """
    kept = {
        "name": row.name,
        "command": command_of(row),
        **dataclasses.asdict(row),
        "what": row.what,
        "published": [dataclasses.asdict(p) for p in PUBLISHED.get(row.what, ())],
        "failed": None,
    }
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    where = "--resume" if (directory / "config.yaml").exists() and not row.in_threads else "--out"
    program = [ROOT / "benchmarks" / "in_threads.py"] if row.in_threads else ["-m", "jaxrl", "train"]
    command = [sys.executable, *map(str, program), *row.arguments(), where, str(directory)]
    if not (row.in_threads and (directory / "summary.json").exists()):
        run = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, stdout=sys.stderr)
        if run.returncode:
            return {**kept, "failed": f"exit status {run.returncode}"}
    summary = json.loads((directory / "summary.json").read_text())
    returns = summary["final_return"]
    last = last_training_return(directory / "metrics.csv")
    bars = [(mean(returns), row.mean_at_least), (min(returns), row.lowest_at_least), (last, row.training_at_least)]
    bars = [value >= bar for value, bar in bars if bar is not None]
    return {
        **kept,
        "preset": yaml.safe_load((directory / "config.yaml").read_text()).get("preset"),
        "mean": mean(returns),
        "deviation": pstdev(returns),
        "lowest": min(returns),
        "last_training_return": last,
        "holds": all(bars) if bars else None,
        "summary": summary,
        "curve": curve(directory / "metrics.csv"),
    }


def curve(path: Path) -> dict[str, list[float]]:
    """Evaluations of a run by steps and seed."""
    columns = read_csv(path) if path.exists() else {}
    names = ("steps", "seed", "eval_return")
    if not set(names) <= set(columns):
        return {name: [] for name in names}
    known = np.isfinite(columns["eval_return"])
    return {name: columns[name][known].tolist() for name in names}


def draw_curves(result: dict[str, Any], out: Path) -> None:
    """Draw the curves of a result, a picture for each environment, beside its file."""
    rows = [row for row in result["rows"] if row.get("curve", {}).get("steps")]
    for env in dict.fromkeys(row["env"] for row in rows):
        drawn = [row for row in rows if row["env"] == env]
        runs = [
            Run(
                Path(row["name"]), row["algorithm"], env, {name: np.array(v, float) for name, v in row["curve"].items()}
            )
            for row in drawn
        ]
        names = labels([Row(**{field.name: row[field.name] for field in dataclasses.fields(Row)}) for row in drawn])
        draw(runs, out.with_name(f"{out.stem}-{in_a_file_name(env)}.png"), labels=names)


def command_of(row: Row) -> str:
    """What a user would type."""
    return shlex.join([*row.program, *row.arguments()])


def last_training_return(path: Path) -> float | None:
    """The mean training return of all seeds in the last reports in which an episode ended; None if none did."""
    if not path.exists():
        return None
    with path.open() as file:
        rows = [(int(r["steps"]), float(r["episode_return"] or "nan")) for r in csv.DictReader(file)]
    steps = sorted({step for step, _ in rows})[-LAST_INTERVALS:]
    returns = [value for step, value in rows if step in steps and not math.isnan(value)]
    return mean(returns) if returns else None


def table(result: dict[str, Any]) -> str:
    """The rows as Markdown, with the published numbers below."""
    machine = result["machine"]
    lines = [
        f"Measured on {machine['processor']} with {machine['cores']} cores, {machine['date'][:10]}"
        f" (jax {machine['versions'].get('jax')}). The return is each seed's mean over its final deterministic"
        " episodes; in training, the mean of all seeds in the last"
        f" {LAST_INTERVALS} reports. Steps/s are those of all seeds together."
        + (" A QUICK RUN: no measurement." if result["quick"] else ""),
        "",
        "| work | options | steps | seeds | return ± over seeds | lowest seed | in training | bar | holds | steps/s "
        "| wall s | compile s |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        options = " ".join([*row["options"], *(["in threads"] if row["in_threads"] else [])])
        start = f"| {row['name']} | {options} | {row['total_steps']:,} | {row['num_seeds']} |"
        if row["failed"]:
            lines.append(f"{start} failed: {row['failed']} | | | | | | | |")
            continue
        training = "" if row["last_training_return"] is None else f"{row['last_training_return']:.1f}"
        summary, holds = row["summary"], {True: "yes", False: "NO", None: ""}[row["holds"]]
        lines.append(
            f"{start} {row['mean']:.1f}{over_seeds(row)} | {row['lowest']:.1f} | {training} | {_bar(row)} "
            f"| {holds} | {summary['steps_per_second']:,.0f} | {summary['wall_seconds']:.1f} "
            f"| {summary['compile_seconds']:.1f} |"
        )
    lines += ["", "| published for | value | steps | which return | source |", "|---|---|---|---|---|"]
    for name in dict.fromkeys(row["what"] for row in result["rows"]):
        for p in PUBLISHED.get(name, ()):
            deviation = "" if p.deviation is None else f" ± {p.deviation:g}"
            steps = "" if p.steps is None else f"{p.steps:,}"
            lines.append(f"| {name} | {p.value:g}{deviation} | {steps} | {p.kind} | {p.source} |")
    return "\n".join(lines) + "\n"


def over_seeds(row: dict[str, Any]) -> str:
    """The deviation over the seeds, where there are several."""
    return f" ± {row['deviation']:.1f}" if row["num_seeds"] > 1 else ""


def _bar(row: dict[str, Any]) -> str:
    bars = [("mean", "mean_at_least"), ("lowest", "lowest_at_least"), ("in training", "training_at_least")]
    bars = [(name, row[field]) for name, field in bars]
    return ", ".join(f"{name} >= {bar:g}" for name, bar in bars if bar is not None)


if __name__ == "__main__":
    sys.exit(main())
