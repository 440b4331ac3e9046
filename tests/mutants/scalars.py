"""Mutants of normalisers, schedules, counters, optimisers, exploration and random numbers."""

from __future__ import annotations

from mutant import Mutant

MUTANTS: list[Mutant] = []
