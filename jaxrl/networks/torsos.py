"""Torsos: from observations to features."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces

from jaxrl import spaces as jax_spaces
from jaxrl.networks.activations import ACTIVATIONS
from jaxrl.networks.images import IMAGES, Convolutions
from jaxrl.networks.initializers import Initializer, initializer
from jaxrl.validation import require, require_choice

Array = jax.Array
PyTree = Any


class MLP(nn.Module):
    """Dense layers with an activation after each: features ``[..., n]`` to ``[..., hidden_sizes[-1]]``.

    Attributes:
        hidden_sizes: width of each layer; none makes the identity.
        activation: a key of ``ACTIVATIONS``.
        kernel_init: initialiser of the kernels; biases start at zero.
        layer_norm: whether to normalise before each activation.
        d2rl: whether each layer but the first is also given what the first is (Sinha et al. 2020, arXiv 2010.09163).
    """

    hidden_sizes: Sequence[int]
    activation: str = "tanh"
    kernel_init: Initializer = nn.initializers.lecun_normal()
    layer_norm: bool = False
    d2rl: bool = False

    @nn.compact
    def __call__(self, x: Array) -> Array:
        first = x
        for i, size in enumerate(self.hidden_sizes):
            if self.d2rl and i > 0:
                x = jnp.concatenate([x, first], axis=-1)
            x = nn.Dense(size, kernel_init=self.kernel_init)(x)
            x = ACTIVATIONS[self.activation](nn.LayerNorm()(x) if self.layer_norm else x)
        return x


TORSOS = ("auto", "mlp", *IMAGES)
"""What ``torso_kind`` understands by name alone."""
CONV = "conv"
"""The kind of torso whose convolutions are given as a list."""


class Mixed(NamedTuple):
    """Observations of several kinds, as a torso is given them."""

    images: list[Array]
    """``[..., H, W, C]`` each."""
    features: list[Array]
    """``[..., n]`` each."""


def require_torso(config: Any) -> None:
    """Raise unless the fields ``torso``, ``convolutions`` and ``kernel_init`` of a configuration can be."""
    require_choice(config, "torso", (*TORSOS, CONV))
    initializer(config.kernel_init, nn.initializers.zeros)
    given = config.convolutions
    for layer in given:
        positive = all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in layer)
        require(
            len(layer) == 3 and positive, "convolutions", given,
            f"each must be three positive integers, (features, kernel size, stride), got {layer}",
        )  # fmt: skip
    require(not given or config.torso == CONV, "convolutions", given, f"needs torso={CONV!r}")
    require(given or config.torso != CONV, "torso", CONV, "needs convolutions, such as ((32, 8, 4), (64, 4, 2))")


def torso_kind(space: spaces.Space, kind: str = "auto", convolutions: Sequence[tuple[int, int, int]] = ()) -> str:
    """The kind of torso for observations of a space.

    ``auto`` takes the Nature CNN for images of at least 36 x 36, the MinAtar CNN for smaller ones, and dense layers
    where there are none. In a ``Dict`` or ``Tuple`` each image has convolutions of its own, and the rest is features.

    Args:
        space: of observations.
        kind: one of ``TORSOS``, or ``conv``.
        convolutions: of ``conv``, see ``Convolutions``.

    Raises:
        ValueError: if a convolution is asked for, but the observations are not images, not with their channels last, or
            smaller than its kernel.
    """
    images = [leaf.shape for leaf, _ in _leaves(space, None) if is_image(leaf)]
    for shape in images:
        if kind != "mlp" and shape[0] < shape[1] == shape[2]:
            raise ValueError(f"torso={kind!r}: images must be [H, W, C], got {shape}: move the first axis to the end")
    if kind == "auto":
        side = min((min(shape[:2]) for shape in images), default=0)
        return "mlp" if not images else "nature_cnn" if side >= 36 else "minatar_cnn"
    if kind != "mlp" and not images:
        raise ValueError(f"torso={kind!r}: needs observations that are images [H, W, C], got {space}; use 'mlp'")
    for shape in images if kind == CONV else ():
        side = min(shape[:2])
        for _, size, stride in convolutions:
            require(
                side >= size, "convolutions", convolutions,
                f"a kernel of {size} x {size} finds only {side} pixels a side left of an image {shape}",
            )  # fmt: skip
            side = (side - size) // stride + 1
    return kind


def torso_input(space: spaces.Space, observation: PyTree, kind: str) -> PyTree:
    """What a torso of a kind (of ``torso_kind``) is given: floats ``[..., n]``, or images ``[..., H, W, C]``.

    Bytes are divided by 255, unless they have been normalised. Of a ``Dict`` or ``Tuple`` with images it is ``Mixed``.
    """
    if kind == "mlp":
        return jax_spaces.flatten(space, observation)
    if isinstance(space, spaces.Box):
        return observation.astype(jnp.float32) * (1 / 255 if observation.dtype == np.uint8 else 1.0)
    leaves = _leaves(space, observation)
    images = [torso_input(leaf, x, kind) for leaf, x in leaves if is_image(leaf)]
    return Mixed(images, [jax_spaces.flatten(leaf, x) for leaf, x in leaves if not is_image(leaf)])


def is_image(space: spaces.Space) -> bool:
    """Whether a space is of arrays with three axes, ``[H, W, C]``."""
    return isinstance(space, spaces.Box) and len(space.shape) == 3


def _leaves(space: spaces.Space, observation: PyTree) -> list[tuple[spaces.Space, Any]]:
    """The parts of a product space that are none themselves, each beside its part of an observation (or of None)."""
    if not isinstance(space, spaces.Dict | spaces.Tuple):
        return [(space, observation)]
    parts = [(s, None if observation is None else observation[k]) for k, s in jax_spaces.children(space).items()]
    return [leaf for part in parts for leaf in _leaves(*part)]


class Torso(nn.Module):
    """Convolutions for images (or none), then dense layers: to features ``[..., n]``.

    Attributes:
        kind: of ``torso_kind``.
        hidden_sizes: widths of the dense layers.
        activation: of the dense layers.
        kernel_init: of all kernels.
        layer_norm: whether to normalise before each activation.
        d2rl: of the dense layers, see ``MLP``.
        convolutions: the layers of the kind ``conv``, see ``Convolutions``; the activation is theirs too.
    """

    kind: str
    hidden_sizes: Sequence[int]
    activation: str = "relu"
    kernel_init: Initializer = nn.initializers.lecun_normal()
    layer_norm: bool = False
    d2rl: bool = False
    convolutions: Sequence[tuple[int, int, int]] = ()

    @nn.compact
    def __call__(self, x: Array) -> Array:
        if self.kind != "mlp":
            network = functools.partial(Convolutions, self.convolutions, self.activation)
            network = IMAGES.get(self.kind, network)
            convolve = lambda x: network(kernel_init=self.kernel_init, layer_norm=self.layer_norm)(x)
            x = jnp.concatenate([*map(convolve, x.images), *x.features], -1) if isinstance(x, Mixed) else convolve(x)
        return MLP(self.hidden_sizes, self.activation, self.kernel_init, self.layer_norm, self.d2rl)(x)
