"""Apply each mutant to a copy of the repository and run the tests that should notice it.

    python tests/mutants/run.py --list
    python tests/mutants/run.py --only 'losses/*' --jobs 2
    python tests/mutants/run.py --table

The working tree is not touched. The unchanged copy must pass first, or nothing is proved. Outcomes are kept in
``.cache/mutants.json``, from which ``--table`` writes the tables of ``docs/mutants.md``.
"""

from __future__ import annotations

import argparse
import collections
import compileall
import concurrent.futures
import contextlib
import fcntl
import fnmatch
import json
import os
import py_compile
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from mutant import HERE, KINDS, PARTS, ROOT, Mutant, load_mutants

OUTCOMES = ROOT / ".cache" / "mutants.json"
PAGE = ROOT / "docs" / "mutants.md"
BEGIN, END = "<!-- table -->", "<!-- end of table -->"
CAUGHT = ("caught", "timed out")
PYTEST = ["-n", "0", "-x", "-q", "-p", "no:cacheprovider", "--no-header", "--tb=line"]


def main(argv: list[str] | None = None) -> int:
    """Run what the command line says; the status is 1 if a mutant survives that should not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="*", metavar="GLOB", help="ids, such as 'losses/*'")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="mutants at the same time")
    parser.add_argument("--limit", type=float, default=180.0, metavar="SECONDS", help="time for each mutant")
    parser.add_argument("--new", action="store_true", help="leave out those caught before and unchanged since")
    parser.add_argument("--no-baseline", action="store_true", help="trust that the unchanged copy passes")
    parser.add_argument("--list", action="store_true", help="show the mutants and run nothing")
    parser.add_argument("--table", action="store_true", help="write the tables of docs/mutants.md and run nothing")
    args = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # not without removing the copies
    mutants = [m for m in load_mutants() if fnmatch.fnmatch(m.id, args.only)]
    if args.list:
        for m in mutants:
            print(f"{m.id:45} {m.kind:12} {m.file}")
        print(f"{len(mutants)} mutants")
        return 0
    known = read_outcomes()
    if args.table:
        return write_table(load_mutants(), known)
    if args.new:
        mutants = [m for m in mutants if outcome_of(m, known) not in CAUGHT]
    return run_all(mutants, args.jobs, args.limit, baseline=not args.no_baseline)


def run_all(mutants: list[Mutant], jobs: int, limit: float, *, baseline: bool) -> int:
    """Run the mutants in ``jobs`` copies, print a line for each, and keep the outcomes."""
    counts: collections.Counter[str] = collections.Counter()
    wrong = []
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mutants-")))
        copies: queue.Queue[Copy] = queue.Queue()
        for i in range(jobs):
            copies.put(stack.enter_context(contextlib.closing(Copy(folder / str(i)))))
        if baseline and mutants and not passes_unchanged(mutants, copies.queue[0]):
            return 1

        def run(mutant: Mutant) -> tuple[Mutant, str, float, str]:
            copy, begin = copies.get(), time.monotonic()
            try:
                outcome, reason = run_one(mutant, copy, limit)
            finally:
                copies.put(copy)
            return mutant, outcome, time.monotonic() - begin, reason

        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            for mutant, outcome, seconds, reason in pool.map(run, mutants):
                counts[outcome] += 1
                print(f"{outcome:15} {seconds:6.1f} s  {mutant.id:45} {reason}", flush=True)
                keep_outcome(mutant, outcome)
                if outcome not in CAUGHT and not mutant.survives:
                    wrong.append(mutant.id)
    print(", ".join(f"{n} {outcome}" for outcome, n in counts.most_common()), f"of {len(mutants)}")
    if wrong:
        print("not caught:", *wrong)
    return 1 if wrong else 0


def run_one(mutant: Mutant, copy: Copy, limit: float) -> tuple[str, str]:
    """Apply one mutant to a copy, run its tests and undo it; return the outcome and the line that says why."""
    path = copy.folder / mutant.file
    text = path.read_text()
    try:
        changed = mutant.applied_to(text)
    except ValueError as error:
        return "does not apply", str(error)
    path.write_text(changed)
    try:
        status, output = copy.run_tests(mutant.tests.split(), limit)
    finally:
        path.write_text(text)
    if status is None:
        return "timed out", f"after {limit:.0f} s"
    if status == 0:
        return "survived", ""
    failed = [line for line in output.splitlines() if line.startswith(("FAILED", "ERROR"))]
    # 1: tests failed. Anything else (no such test, a file that cannot be imported) says nothing about the tests.
    return ("caught" if status == 1 else "error"), (failed or output.splitlines()[-1:] or [""])[0][:150]


def passes_unchanged(mutants: list[Mutant], copy: Copy) -> bool:
    """True if all tests of the mutants pass on the unchanged copy, which fills the compilation cache too."""
    tests = list(dict.fromkeys(test for m in mutants for test in m.tests.split()))
    # A whole file stands for its tests.
    tests = [test for test in tests if "::" not in test or test.split("::")[0] not in tests]
    status, output = copy.run_tests(tests, None)
    if status != 0:
        print(output, "\nthe tests fail without any mutant", sep="")
    return status == 0


class Copy:
    """A copy of the repository, and a process that runs tests in it."""

    def __init__(self, folder: Path):
        """Copy the files that git knows or would add, as they are in the working tree."""
        self.folder = folder
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
        for name in names:
            if name and (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, folder / name)
        # By its time alone, a mutant of the same second and length would be mistaken for the file before it.
        checked = py_compile.PycInvalidationMode.CHECKED_HASH
        compileall.compile_dir(folder / "jaxrl", quiet=1, invalidation_mode=checked)
        env = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "JAX_PLATFORMS": "cpu"}
        env.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".cache" / "jax"))
        # What a mutant leaves as it was is read, however small it is: the next one needs it too.
        env["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
        self._worker = subprocess.Popen(
            [sys.executable, str(HERE / "worker.py")], cwd=folder, env=env, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def run_tests(self, tests: list[str], limit: float | None) -> tuple[int | None, str]:
        """Run pytest until the first failure; return its exit status (None beyond the time limit) and its output."""
        print(json.dumps({"arguments": [*PYTEST, *tests], "limit": limit}), file=self._worker.stdin, flush=True)
        answer = json.loads(self._worker.stdout.readline())
        return answer["status"], answer["output"]

    def close(self) -> None:
        """End the process."""
        self._worker.stdin.close()
        self._worker.wait()


def read_outcomes() -> dict[str, dict[str, str]]:
    """Read the outcomes kept by earlier runs."""
    return json.loads(OUTCOMES.read_text()) if OUTCOMES.exists() else {}


def keep_outcome(mutant: Mutant, outcome: str) -> None:
    """Add one outcome to those kept."""
    OUTCOMES.parent.mkdir(exist_ok=True)
    with OUTCOMES.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # other parts may be run at the same time
        outcomes = read_outcomes() | {mutant.id: {"fingerprint": mutant.fingerprint(), "outcome": outcome}}
        OUTCOMES.write_text(json.dumps(outcomes, indent=1, sort_keys=True))


def outcome_of(mutant: Mutant, known: dict[str, dict[str, str]]) -> str:
    """Look up how a mutant fared when it was run last; "not run" if it has changed since."""
    entry = known.get(mutant.id, {})
    return entry["outcome"] if entry.get("fingerprint") == mutant.fingerprint() else "not run"


def write_table(mutants: list[Mutant], known: dict[str, dict[str, str]]) -> int:
    """Write the tables of the docs page between its marks; the status is 1 if mutants have not been run."""
    before, rest = PAGE.read_text().split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n{tables(mutants, known)}\n{END}{after}")
    missing = [m.id for m in mutants if outcome_of(m, known) == "not run"]
    if missing:
        print("not run since they changed:", *missing)
    return 1 if missing else 0


def tables(mutants: list[Mutant], known: dict[str, dict[str, str]]) -> str:
    """Format the outcomes by part, by kind, and the survivors, in Markdown."""

    def row(first: str, group: list[Mutant]) -> str:
        run = [m for m in group if outcome_of(m, known) != "not run"]
        caught = sum(outcome_of(m, known) in CAUGHT for m in run)
        return f"| {first} | {len(group)} | {len(run)} | {caught} | {f'{caught / len(run):.0%}' if run else '-'} |"

    heads = lambda first: [f"| {first} | Mutants | Run | Caught | Of those run |", "|---|---:|---:|---:|---:|"]
    lines = heads("Part")
    lines += [row(part, [m for m in mutants if m.part == part]) for part in PARTS]
    lines += [row("all", mutants), "", *heads("Kind")]
    lines += [row(f"{kind}: {meaning}", [m for m in mutants if m.kind == kind]) for kind, meaning in KINDS.items()]
    survivors = [m for m in mutants if outcome_of(m, known) not in (*CAUGHT, "not run")]
    lines += ["", "Survivors:" if survivors else "None of those that were run survived.", *([""] if survivors else [])]
    lines += [f"- `{m.id}` in `{m.file}`: {m.survives or 'not explained yet'}." for m in survivors]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
