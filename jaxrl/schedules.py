"""Hyper-parameters that change while training goes on.

A ``Schedule`` is a pytree, so it can stand wherever a scalar hyper-parameter can: it can be vmapped,
swept and saved. The training loops resolve every schedule once an iteration, so an algorithm only ever
sees plain scalars.
"""

from __future__ import annotations

from typing import Any, TypeVar

import jax

from jaxrl.ramps import Schedule, linear, piecewise

__all__ = ["Schedule", "linear", "piecewise", "resolve"]

T = TypeVar("T")

jax.tree_util.register_dataclass(Schedule, data_fields=["times", "values"], meta_fields=["fraction"])


def resolve(hp: T, steps: Any, fraction: Any) -> T:
    """Replace each ``Schedule`` in ``hp`` by its value after ``steps`` environment steps.

    Args:
        hp: a pytree of scalars and schedules.
        steps: environment steps so far.
        fraction: the same as a fraction of the run's total.
    """
    return jax.tree.map(
        lambda x: x(steps, fraction) if isinstance(x, Schedule) else x,
        hp,
        is_leaf=lambda x: isinstance(x, Schedule),
    )
