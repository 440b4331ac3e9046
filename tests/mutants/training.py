"""Mutants of training."""

from __future__ import annotations

from mutant import Mutant

MUTANTS: list[Mutant] = []
