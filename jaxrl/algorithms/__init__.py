"""One file an algorithm, readable beside its paper. A file is imported when it is first used."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, MutableMapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

from jaxrl.validation import did_you_mean

if TYPE_CHECKING:
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

__all__ = [
    "ALGORITHMS", "a2c", "a3c", "appo", "c51", "crossq", "ddpg", "dqn", "droq", "get", "impala", "iqn",
    "munchausen_dqn", "npg", "ppo", "pqn", "qr_dqn", "rainbow", "redq", "rnd", "sac", "sac_discrete", "td3", "tqc",
    "trpo", "vpg",
]  # fmt: skip

NAMES = (
    "dqn", "c51", "qr_dqn", "iqn", "rainbow", "munchausen_dqn", "pqn", "ppo", "ddpg", "td3", "sac", "sac_discrete",
    "tqc", "redq", "droq", "crossq", "a2c", "a3c", "vpg", "npg", "trpo", "impala", "appo", "rnd",
)  # fmt: skip


class _Modules(MutableMapping[str, ModuleType]):
    """The modules of this package's algorithms, each imported when it is asked for, and those of others."""

    def __init__(self) -> None:
        self._modules: dict[str, ModuleType | None] = dict.fromkeys(NAMES)

    def __getitem__(self, name: str) -> ModuleType:
        module = self._modules[name]
        return importlib.import_module(f"{__name__}.{name}") if module is None else module

    def __contains__(self, name: object) -> bool:
        return name in self._modules

    def __setitem__(self, name: str, module: ModuleType) -> None:
        self._modules[name] = module

    def __delitem__(self, name: str) -> None:
        del self._modules[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __len__(self) -> int:
        return len(self._modules)


ALGORITHMS: MutableMapping[str, ModuleType] = _Modules()
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


def __getattr__(name: str) -> Any:
    if name in NAMES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
