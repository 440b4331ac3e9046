"""Errors that come early and say what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


def require(condition: bool, field: str, value: Any, fix: str) -> None:
    """Raise a ``ValueError`` that names the field, its value and the fix, unless the condition holds."""
    if not condition:
        raise ValueError(f"{field}={value!r}: {fix}")


def require_positive(config: Any, *fields: str) -> None:
    """Raise unless each of these fields of a configuration is a positive integer."""
    for field in fields:
        value = getattr(config, field)
        require(
            isinstance(value, int) and not isinstance(value, bool) and value > 0,
            field,
            value,
            "must be a positive integer",
        )


def require_widths(config: Any, *fields: str) -> None:
    """Raise unless each of these fields of a configuration is a list of positive integers, or None."""
    for field in fields:
        value = getattr(config, field)
        positive = lambda n: isinstance(n, int) and not isinstance(n, bool) and n > 0
        require(
            value is None or (isinstance(value, tuple | list) and all(map(positive, value))), field, value,
            "must be positive integers, one for each layer",
        )  # fmt: skip


def require_scalar_reward(name: str, spec: Any) -> None:
    """Raise if an environment gives vectors of rewards, which an algorithm does not take."""
    shape = spec.reward_shape
    require(not shape, "reward_shape", shape, f"{name} needs a scalar reward; ppo takes vectors")


def require_choice(config: Any, field: str, choices: Iterable[str]) -> None:
    """Raise unless a field of a configuration is one of the choices, and name the nearest one."""
    value = getattr(config, field)
    choices = list(choices)
    if value not in choices:
        raise ValueError(f"{field}={value!r}: must be one of {', '.join(choices)}{did_you_mean(str(value), choices)}")


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """``"; did you mean 'x'?"`` for the nearest choice, or nothing when none is near."""
    by_folded = {c.casefold(): c for c in choices}
    near = difflib.get_close_matches(name.casefold(), by_folded, n=1, cutoff=0.5)
    return f"; did you mean {by_folded[near[0]]!r}?" if near else ""
