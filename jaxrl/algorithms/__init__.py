"""One file an algorithm, readable beside its paper."""

from __future__ import annotations

from types import ModuleType

from jaxrl.algorithms import (
    c51,
    crossq,
    ddpg,
    dqn,
    droq,
    iqn,
    munchausen_dqn,
    ppo,
    pqn,
    qr_dqn,
    rainbow,
    redq,
    sac,
    sac_discrete,
    td3,
    tqc,
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
    "ddpg": ddpg,
    "td3": td3,
    "sac": sac,
    "sac_discrete": sac_discrete,
    "tqc": tqc,
    "redq": redq,
    "droq": droq,
    "crossq": crossq,
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
    "ALGORITHMS", "c51", "crossq", "ddpg", "dqn", "droq", "get", "iqn", "munchausen_dqn", "ppo", "pqn", "qr_dqn",
    "rainbow", "redq", "sac", "sac_discrete", "td3", "tqc",
]  # fmt: skip
