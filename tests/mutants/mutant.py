"""Records of small wrong changes to the code, each of which the default tests have to notice.

A list of them is a file beside this one, named after the part of the library that it changes.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PARTS = ("losses", "algorithms", "buffers", "networks", "scalars", "envs", "training")
"""Files with a list ``MUTANTS``."""

KINDS = {
    "sign": "a sign or the direction of a comparison",
    "discount": "gamma^n to gamma, or another discount",
    "gradient": "a missing or misplaced stop_gradient",
    "end": "truncation for termination, or an end ignored",
    "observation": "the reset observation for the next one, or another step's",
    "target": "the online for the target network, or other parameters",
    "axis": "an axis, an order of axes, or a silent broadcast",
    "window": "an off-by-one in a window, an index or a count",
    "mask": "a mask left out",
    "mean": "a mean over padded or other steps, a sum for a mean",
    "statistics": "a statistic updated twice, never, or from other data",
    "key": "a key used twice or shared",
    "weight": "a weight without its exponent, or left out",
    "formula": "another term, constant, bound or clock",
    "state": "a state kept, reset or carried wrongly",
    "precision": "a dtype, a clamp or a rounding",
}


@dataclasses.dataclass(frozen=True)
class Mutant:
    """One wrong change.

    Attributes:
        id: ``part/name``.
        file: changed file, from the root of the repository.
        old: text that occurs exactly once in the file.
        new: text put in its place.
        kind: one of ``KINDS``.
        tests: pytest ids, divided by spaces, from the root of the repository: first those that likely notice.
        survives: reason why no test can be expected to notice; empty for all that must be caught.
    """

    id: str
    file: str
    old: str
    new: str
    kind: str
    tests: str
    survives: str = ""

    @property
    def part(self) -> str:
        """Name of the list."""
        return self.id.split("/")[0]

    def applied_to(self, text: str) -> str:
        """The changed text of the file.

        Raises:
            ValueError: if the old text does not occur exactly once.
        """
        count = text.count(self.old)
        if count != 1:
            raise ValueError(f"{self.id}: the old text occurs {count} times in {self.file}, not once")
        return text.replace(self.old, self.new)

    def fingerprint(self) -> str:
        """Digest of the record, by which an outcome is known to belong to it."""
        return hashlib.sha256(repr(dataclasses.astuple(self)).encode()).hexdigest()[:16]


def load_mutants() -> list[Mutant]:
    """All mutants, part by part."""
    mutants = []
    for part in PARTS:
        spec = importlib.util.spec_from_file_location(f"mutants_{part}", HERE / f"{part}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        mutants += module.MUTANTS
    return mutants
