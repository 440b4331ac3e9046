"""One file an algorithm, readable beside its paper."""

from __future__ import annotations

from types import ModuleType

from jaxrl.algorithms import (
    a2c,
    a3c,
    c51,
    dqn,
    impala,
    iqn,
    munchausen_dqn,
    npg,
    ppo,
    pqn,
    qr_dqn,
    rainbow,
    trpo,
    vpg,
)
from jaxrl.validation import did_you_mean

ALGORITHMS: dict[str, ModuleType] = {
    "dqn": dqn,
    "c51": c51,
    "qr_dqn": qr_dqn,
    "iqn": iqn,
    "rainbow": rainbow,
    "munchausen_dqn": munchausen_dqn,
    "pqn": pqn,
    "ppo": ppo,
    "a2c": a2c,
    "a3c": a3c,
    "vpg": vpg,
    "npg": npg,
    "trpo": trpo,
    "impala": impala,
}
"""Modules with ``Config``, ``Hyperparameters`` and ``make``, by the name that the command line knows."""


def get(name: str) -> ModuleType:
    """The module of an algorithm.

    Raises:
        ValueError: for an unknown name; it names the nearest.
    """
    if name not in ALGORITHMS:
        raise ValueError(
            f"unknown algorithm {name!r}{did_you_mean(name, ALGORITHMS)}; there are {', '.join(ALGORITHMS)}"
        )
    return ALGORITHMS[name]


__all__ = [
    "ALGORITHMS", "a2c", "a3c", "c51", "dqn", "get", "impala", "iqn", "munchausen_dqn", "npg", "ppo", "pqn", "qr_dqn",
    "rainbow", "trpo", "vpg",
]  # fmt: skip
