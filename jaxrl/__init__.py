"""Deep reinforcement learning in JAX: algorithms as pure functions, training as one compiled program.

Everything is imported when it is first used, so ``import jaxrl`` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxrl import (
        algorithms,
        buffers,
        counters,
        envs,
        experiment,
        losses,
        networks,
        optimizers,
        schedules,
        spaces,
        training,
        types,
    )
    from jaxrl.experiment.run import RunResult, evaluate_run, resume, train
    from jaxrl.schedules import Schedule, linear, piecewise
    from jaxrl.training.sweep import sweep

__version__ = "0.1.0"

_SUBMODULES = (
    "algorithms", "buffers", "counters", "envs", "experiment", "losses", "networks", "optimizers", "schedules",
    "spaces", "training", "types",
)  # fmt: skip
_ATTRIBUTES = {
    "RunResult": "jaxrl.experiment.run",
    "Schedule": "jaxrl.schedules",
    "evaluate_run": "jaxrl.experiment.run",
    "linear": "jaxrl.schedules",
    "piecewise": "jaxrl.schedules",
    "resume": "jaxrl.experiment.run",
    "sweep": "jaxrl.training.sweep",
    "train": "jaxrl.experiment.run",
}

__all__ = [
    "RunResult", "Schedule", "__version__", "algorithms", "buffers", "counters", "envs", "evaluate_run", "experiment",
    "linear", "losses", "networks", "optimizers", "piecewise", "resume", "schedules", "spaces", "sweep", "train",
    "training", "types",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f"jaxrl.{name}")
    if name in _ATTRIBUTES:
        value = getattr(importlib.import_module(_ATTRIBUTES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'jaxrl' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
