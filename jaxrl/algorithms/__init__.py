"""One file an algorithm, readable beside its paper."""

from __future__ import annotations

from types import ModuleType

from jaxrl.algorithms import (
    a2c,
    a3c,
    appo,
    c51,
    crossq,
    ddpg,
    dqn,
    droq,
    impala,
    iqn,
    munchausen_dqn,
    npg,
    ppo,
    pqn,
    qr_dqn,
    rainbow,
    redq,
    rnd,
    sac,
    sac_discrete,
    td3,
    tqc,
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
    "ddpg": ddpg,
    "td3": td3,
    "sac": sac,
    "sac_discrete": sac_discrete,
    "tqc": tqc,
    "redq": redq,
    "droq": droq,
    "crossq": crossq,
    "a2c": a2c,
    "a3c": a3c,
    "vpg": vpg,
    "npg": npg,
    "trpo": trpo,
    "impala": impala,
    "appo": appo,
    "rnd": rnd,
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
    "ALGORITHMS", "a2c", "a3c", "appo", "c51", "crossq", "ddpg", "dqn", "droq", "get", "impala", "iqn",
    "munchausen_dqn", "npg", "ppo", "pqn", "qr_dqn", "rainbow", "redq", "rnd", "sac", "sac_discrete", "td3", "tqc",
    "trpo", "vpg",
]  # fmt: skip
