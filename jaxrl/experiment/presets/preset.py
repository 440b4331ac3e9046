"""What a preset is."""

from __future__ import annotations

import dataclasses
from typing import Any

UNCLIPPED = 1e6
"""A bound of the gradient's norm that is never met: for sources that do not clip."""


@dataclasses.dataclass(frozen=True)
class Preset:
    """What differs from the algorithm's defaults."""

    name: str
    """``ALGORITHM/ENV`` if it was tuned here, ``ALGORITHM/PROJECT-WHAT`` if it holds what another project does."""
    algorithm: str
    env: str
    """The id without the prefix of a suite; ``Atari``, ``MinAtar`` or ``MuJoCo`` if it is for all of theirs."""
    source: str
    """Where the values come from, and what of the source is not held."""
    hyperparameters: dict[str, Any] = dataclasses.field(default_factory=dict)
    config: dict[str, Any] = dataclasses.field(default_factory=dict)
    total_steps: int | None = None
    """Steps for which it was tuned; taken when none are given."""
    reward_shift: float = 0.0
    """What is added to the reward before all else that is done to it; reports keep the raw one."""
    reward_scale: float = 1.0
    """What the (shifted) reward is multiplied with before it is learned from."""
    env_parameters: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Keyword arguments of ``jaxrl.envs.make``."""
    reward_clip: float | None = None
    """Bound of the absolute (scaled) reward that is learned from."""
    reward_log: bool = False
    """Whether the logarithm of all that is learned from."""
