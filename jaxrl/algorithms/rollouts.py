"""What all algorithms share that learn from rollouts: how long they are, and the networks' sizes."""

from __future__ import annotations

import dataclasses

from jaxrl.networks.activations import ACTIVATIONS
from jaxrl.networks.images import ConvLayer
from jaxrl.networks.torsos import require_torso
from jaxrl.validation import require, require_choice, require_positive, require_widths


@dataclasses.dataclass(frozen=True)
class Config:
    """What changes the program's shape."""

    num_envs: int = 4
    """Environments stepped side by side."""
    rollout_length: int = 128
    """Steps of each environment between two updates."""
    torso: str = "auto"
    """``mlp``, ``nature_cnn``, ``minatar_cnn``, ``impala_resnet``, or with ``convolutions`` of your own
    ``conv``, or ``conv1d`` for observations ``[W, C]``; ``auto`` goes by the observation's shape."""
    convolutions: tuple[ConvLayer, ...] = ()
    """Features, kernel size, stride and, if there is some, padding of each layer of the torsos ``conv`` and
    ``conv1d``."""
    coordinates: bool = False
    """Whether ``convolutions`` also see each pixel's coordinates, in ``[-1, 1]``."""
    pooling: str = "flatten"
    """What becomes of the last of ``convolutions``: ``flatten``, or ``spatial_softargmax``, where in the image each of
    its features is."""
    hidden_sizes: tuple[int, ...] = (64, 64)
    """Widths of the dense layers, after the convolutions of a torso that has some."""
    activation: str = "tanh"
    """Of the dense layers, and of ``convolutions``."""
    kernel_init: str = "default"
    """How the torso's weights begin: ``orthogonal(1.4142)`` by ``default``; or ``lecun_normal``, ``glorot_normal``,
    ``kaiming_normal``, the same with ``uniform``, or ``orthogonal``, with a gain as in ``orthogonal(1.4142)``;
    ``normal(0.02)``, ``uniform(0.02)`` (on both sides of 0) or ``constant(0.02)``."""

    def __post_init__(self) -> None:
        require_positive(self, "num_envs", "rollout_length")
        require_torso(self)
        require_choice(self, "activation", ACTIVATIONS)
        require_widths(self, "hidden_sizes")

    @property
    def rollout_size(self) -> int:
        """Transitions of a rollout."""
        return self.num_envs * self.rollout_length

    @property
    def num_items(self) -> int:
        """What minibatches are drawn of: steps, or of recurrent networks sequences."""
        return self.rollout_size

    def require_divisor(self, *fields: str) -> None:
        """Raise unless each of these fields is a number of equal parts of a rollout's items."""
        sizes = f"num_envs * rollout_length = {self.num_envs} * {self.rollout_length} = {self.rollout_size}"
        what = sizes if self.num_items == self.rollout_size else f"{self.num_items} sequences of {sizes} steps"
        for field in fields:
            require_positive(self, field)
            require(self.num_items % getattr(self, field) == 0, field, getattr(self, field), f"must divide {what}")
