"""Speed, side by side with other libraries: ``python benchmarks/speed.py``.

Runs jaxrl and its peers on the same work in one call, in turn, and prints medians of the ratios of each
round, compile and run time apart, beside the bars that the project sets itself. The result is kept as JSON
with a description of the machine. See README.md beside this file.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

from alternate import Contender, measure
from cases import CASES
from machine import ROOT, describe

REQUIREMENTS = Path(__file__).parent / "peers" / "requirements.txt"
RESULTS = Path(__file__).parent / "results"
PEERS = str(ROOT / ".cache" / "peers")


def main() -> int:
    arguments = parse_arguments()
    peers = Path(arguments.peers)
    names = arguments.cases.split(",") if arguments.cases else list(CASES)
    unknown = sorted(set(names) - set(CASES))
    if unknown:
        print(f"unknown case {', '.join(unknown)}; there are {', '.join(CASES)}", file=sys.stderr)
        return 2
    cases = [CASES[name](arguments.quick) for name in names]
    if any(c.peer for case in cases for c in case.contenders):
        prepare_peers(peers)
    python = lambda contender: interpreter(peers, contender)
    say = lambda text: print(f"  {text}", file=sys.stderr, flush=True)

    result = {"machine": describe(), "quick": arguments.quick, "cases": []}
    which = ["speed", *(["quick"] if arguments.quick else []), *(names if arguments.cases else [])]
    out = Path(arguments.out or RESULTS / f"{'-'.join(which)}-{result['machine']['date'][:10]}.json")
    out.parent.mkdir(parents=True, exist_ok=True)
    for case in cases:
        measured = measure(case, arguments.repeats, python, arguments.timeout, say)
        result["cases"].append(measured)
        out.write_text(json.dumps(result, indent=1) + "\n")
        print(table(measured), flush=True)
    print(f"\nKept in {out}")
    return 1 if any(c["failed"] for case in result["cases"] for c in case["contenders"]) else 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", help=f"comma-separated; all by default: {', '.join(CASES)}")
    parser.add_argument("--repeats", type=int, default=7, help="rounds of each case")
    parser.add_argument("--quick", action="store_true", help="little work, to see that it runs; no measurement")
    parser.add_argument("--peers", default=PEERS, help="the peers' virtual environment; made where missing")
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds after which a contender is given up")
    parser.add_argument("--out", help="the JSON file; by default benchmarks/results/speed[-CASES]-DATE.json")
    arguments = parser.parse_args()
    if arguments.repeats < 1:
        parser.error(f"--repeats {arguments.repeats} must be at least 1")
    return arguments


def prepare_peers(directory: Path) -> None:
    """Make the peers' virtual environment and install what is pinned, unless that is done already."""
    done = directory / "requirements.txt"
    wanted = REQUIREMENTS.read_text()
    if done.exists() and done.read_text() == wanted:
        return
    print(f"Installing the peers into {directory} ...", file=sys.stderr)
    if not peers_python(directory).exists():
        venv.create(directory, with_pip=True)
    pip = [str(peers_python(directory)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # torch by itself first, so that nothing that depends on it chooses another build.
    torch = [line for line in wanted.splitlines() if line.startswith("torch==")]
    subprocess.run([*pip, *torch], check=True)
    subprocess.run([*pip, "-r", str(REQUIREMENTS)], check=True)
    done.write_text(wanted)


def peers_python(directory: Path) -> Path:
    return directory / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def interpreter(peers: Path, contender: Contender) -> str:
    """Ours and the plain loops run where this script runs, the peers in their own environment."""
    return str(peers_python(peers)) if contender.peer else sys.executable


def table(case: dict[str, Any]) -> str:
    """A case as Markdown: a table of contenders, and one of ratios and bars."""
    fresh = case["quantity"] != "steps_per_second"
    unit = case["quantity"].replace("_", " ")
    lines = [f"\n### {case['name']}: {case['title']}\n"]
    lines += [f"| contender | {unit}, median (range) |" + ("" if fresh else " run s | compile s |")]
    lines += ["|---|---|" + ("" if fresh else "---|---|")]
    number = (lambda x: f"{x:.2f}") if fresh else (lambda x: f"{x:,.0f}")
    for row in case["contenders"]:
        if row["failed"]:
            lines.append(f"| {row['name']} | failed: {row['failed'][:80]} |" + ("" if fresh else " | |"))
            continue
        low, high = min(row["measured"]), max(row["measured"])
        cells = [row["name"], f"{number(row['median'])} ({number(low)} to {number(high)})"]
        if not fresh:
            compile_seconds = row.get("compile_seconds")
            cells.append(f"{sorted(row['seconds'])[len(row['seconds']) // 2]:.2f}")
            cells.append("" if compile_seconds is None else f"{compile_seconds:.2f}")
        lines.append(f"| {' | '.join(cells)} |")
    if case["ratios"] or case["bounds"]:
        lines += ["", "| compared | median (range) | bar | holds |", "|---|---|---|---|"]
    for ratio in case["ratios"]:
        spread = f" ({min(ratio['values']):.2f} to {max(ratio['values']):.2f})" if ratio["values"] else ""
        lines.append(f"| {ratio['text']} | {_value(ratio)}{spread} | {_bar(ratio)} | {_holds(ratio)} |")
    for bound in case["bounds"]:
        quantity = "" if bound["quantity"] == "median" else f": {bound['quantity']}"
        lines.append(f"| {bound['contender']}{quantity} | {_value(bound)} | {_bar(bound)} | {_holds(bound)} |")
    return "\n".join(lines)


def _value(row: dict[str, Any]) -> str:
    return "not measured" if row["value"] is None else f"{row['value']:.2f}"


def _bar(row: dict[str, Any]) -> str:
    if row.get("at_least") is not None:
        return f">= {row['at_least']:g}"
    return f"<= {row['at_most']:g}" if row.get("at_most") is not None else ""


def _holds(row: dict[str, Any]) -> str:
    return {True: "yes", False: "NO", None: ""}[row["holds"]]


if __name__ == "__main__":
    sys.exit(main())
