"""Damaged runs: ``python tests/robustness/damage.py``.

Trains a run on a compiled and one on a host environment, damages each of their files, one at a time, and evaluates,
resumes and plots what is left. Each command must fall back to what is whole, or refuse in one sentence: no traceback,
no other exit status, and nothing written over by a command that was refused.
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import json
import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import forked
from damaging import DAMAGES

COMMANDS = {
    "eval": ("eval", "run", "--episodes", "2"),
    "resume": ("train", "--resume", "run", "--no-progress"),
    "plot": ("plot", "run", "--out", "plot.png"),
}
HOST = ("--env", "gymnasium:CartPole-v1", "--num-seeds", "1")


def _resigned(change: Callable[[dict], None]) -> Callable[[Path], None]:
    """Forge a checkpoint's metadata, with checksums to match."""

    def forge(checkpoint: Path) -> None:
        record = json.loads((checkpoint / "metadata.json").read_text())
        change(record)
        (checkpoint / "metadata.json").write_text(json.dumps(record))
        sign(checkpoint)

    return forge


def sign(checkpoint: Path) -> None:
    """Write the checksums of what is there."""
    files = [p for p in checkpoint.rglob("*") if p.is_file() and p.name != "checksums.json"]
    sums = {p.relative_to(checkpoint).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}
    (checkpoint / "checksums.json").write_text(json.dumps(sums))


def _leaf(**fields: object) -> Callable[[dict], None]:
    return lambda record: record["leaves"].update({next(iter(record["leaves"])): fields})


FORGERIES: dict[str, Callable[[Path], None]] = {
    "another step": _resigned(lambda r: r.update(step=7)),
    "no leaves": _resigned(lambda r: r.update(leaves={})),
    "leaves of another kind": _resigned(lambda r: r.update(leaves=[1])),
    "a leaf of another kind": _resigned(lambda r: r["leaves"].update(x=3)),
    "a huge leaf": _resigned(_leaf(shape=[10**12], dtype="float32", key_impl=None)),
    "a negative leaf": _resigned(_leaf(shape=[-1], dtype="float32", key_impl=None)),
    "a leaf of another dtype": _resigned(_leaf(shape=[], dtype="no dtype", key_impl=None)),
    "no metadata": _resigned(lambda r: r.update(metadata=None)),
    "no settings": _resigned(lambda r: r["metadata"].update(settings=[])),
    "another clock": _resigned(lambda r: r["metadata"].update(clock={"wall": "x", "more": 1}, versions=3, reached=9)),
    "a score that is text": _resigned(lambda r: r.update(score="best")),
    "a score that is infinite": _resigned(lambda r: r.update(score=float("inf"))),
    "checksums of nothing": lambda checkpoint: (checkpoint / "checksums.json").write_text("{}") and None,
    "checksums that are a list": lambda checkpoint: (checkpoint / "checksums.json").write_text("[]") and None,
    "a path outside": lambda checkpoint: _outside(checkpoint),
    "another state": lambda checkpoint: _emptied_state(checkpoint),
    "a link outside": lambda checkpoint: _linked(checkpoint),
}
"""Changes of a checkpoint that a person could make, by name."""


def _outside(checkpoint: Path) -> None:
    sums = json.loads((checkpoint / "checksums.json").read_text())
    (checkpoint / "checksums.json").write_text(json.dumps(sums | {"../../config.yaml": "0", "/etc/passwd": "0"}))


def _emptied_state(checkpoint: Path) -> None:
    for path in (checkpoint / "state").rglob("*"):
        if path.is_file():
            path.write_bytes(b"")
    sign(checkpoint)


def _linked(checkpoint: Path) -> None:
    shutil.rmtree(checkpoint / "state")
    (checkpoint / "state").symlink_to("/etc")
    sign(checkpoint)


def damages(run: Path, rng: random.Random) -> Iterator[tuple[str, str, Callable[[Path], None]]]:
    """File, damage, and what does it to a copy of the run."""
    files = [path.relative_to(run) for path in sorted(run.rglob("*")) if path.is_file()]
    newest = max((run / "checkpoints").iterdir(), key=lambda path: int(path.name)).relative_to(run)
    for file in files:
        if file.parts[0] == "checkpoints" and newest not in file.parents:
            continue
        for name, damage in DAMAGES.items():
            seed = rng.randrange(2**32)
            yield str(file), name, lambda copy, f=file, d=damage, s=seed: d(copy / f, random.Random(s))
    for name, forge in FORGERIES.items():
        yield str(newest), f"forged: {name}", lambda copy, f=forge: f(copy / newest)
        every = lambda copy, f=forge: [f(path) for path in (copy / "checkpoints").iterdir()] and None
        yield "all checkpoints", f"forged: {name}", every
    yield "all checkpoints", "deleted", lambda copy: shutil.rmtree(copy / "checkpoints")
    yield "all checkpoints", "a file", lambda copy: _a_file(copy / "checkpoints")
    yield str(newest), "deleted", lambda copy: shutil.rmtree(copy / newest)
    yield str(newest), "a file", lambda copy: _a_file(copy / newest)


def _a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("x")


def group(file: str) -> str:
    """The row of the table that a file belongs to."""
    top = Path(file).parts[0]
    return {"checkpoints": "a checkpoint"}.get(top, top)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--share", type=float, default=1.0, help="how much of it to do, drawn by chance")
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    work = Path(tempfile.mkdtemp(prefix="damage_"))
    for kind, more in (("compiled", ()), ("host", HOST)):
        forked.tiny_run(work / kind, *more)
    forked.prepare()
    from jaxrl.experiment.cli import main as command_line

    counts, wrong = collections.Counter(), collections.Counter()
    for kind in ("compiled", "host"):
        for number, (file, name, damage) in enumerate(damages(work / kind, rng)):
            command = rng.choice([*COMMANDS, "eval", "resume"])
            if rng.random() > arguments.share:
                continue
            folder = work / f"{kind}_{number:03}"
            folder.mkdir()
            shutil.copytree(work / kind, folder / "run")
            damage(folder / "run")
            if command == "resume" and rng.random() < 0.5:  # as a run that was stopped
                (folder / "run" / "summary.json").is_file() and (folder / "run" / "summary.json").unlink()
            before = forked.contents(folder)
            outcome = forked.run_forked(lambda c=command: command_line(COMMANDS[c]), folder)
            trouble = outcome.trouble(allowed=(0, 2))
            after = forked.contents(folder)
            if trouble is None and outcome.status == 2 and any(after.get(p) != sha for p, sha in before.items()):
                trouble = "written over"
            counts[group(file)] += 1
            wrong[group(file)] += trouble is not None
            if trouble is None:
                shutil.rmtree(folder)
            else:
                print(f"{kind} {file} {name}, {command}: {trouble} (status {outcome.status})", flush=True)
                print("    " + "\n    ".join(outcome.err.splitlines()[-6:]), flush=True)
    for row, count in counts.items():
        print(f"{row:16} {count:5} damages  {wrong[row]:3} wrong")
    print(f"{'all':16} {counts.total():5} damages  {wrong.total():3} wrong; what went wrong is in {work}")
    return int(wrong.total() > 0)


if __name__ == "__main__":
    raise SystemExit(main())
