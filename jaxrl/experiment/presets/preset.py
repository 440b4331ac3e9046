"""What a preset is."""

from __future__ import annotations

import dataclasses
from typing import Any

UNCLIPPED = 1e6
"""A bound of the gradient's norm that is never met: for sources that do not clip."""
TORCH_INIT = "lecun_uniform(0.5773502691896258)"
"""Initial weights of PyTorch's layers: uniform within 1 / sqrt(inputs)."""

LOG_TEMPERATURE = "the temperature's loss is linear in its logarithm there, in the temperature here"
"""A difference that several projects share."""


@dataclasses.dataclass(frozen=True)
class Preset:
    """What differs from the algorithm's defaults."""

    name: str
    """``ALGORITHM/ENV`` if it was tuned here, ``ALGORITHM/PROJECT-WHAT`` if it holds what another project does."""
    algorithm: str
    env: str
    """The id without the prefix of a suite; ``Atari``, ``MinAtar`` or ``MuJoCo`` if it is for all of theirs."""
    source: str
    """Project and files that the values come from."""
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
    commit: str = ""
    """Repository and commit that the values were compared with, ``OWNER/NAME@COMMIT``; empty if it was tuned here."""
    differs: tuple[str, ...] = ()
    """Differences from the source that no setting can hold, or that are meant; general ones are in
    ``docs/presets.md``."""
    changed: str = ""
    """Date of the last change of its values: what was measured before it was measured with others."""

    @property
    def tuned(self) -> bool:
        """True if it was tuned here, so that it is taken by itself."""
        return self.name == f"{self.algorithm}/{self.env}"

    @property
    def provenance(self) -> str:
        """Source, commit and differences in one line."""
        commit = f" ({self.commit})" if self.commit else ""
        return self.source + commit + (f"; differs: {'; '.join(self.differs)}" if self.differs else "")
