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
from jaxrl.networks.images import IMAGES, LAYERS, POOLINGS, ConvLayer, Convolutions, ConvSettings
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
OWN = {"conv": 2, "conv1d": 1}
"""The kinds of torso whose convolutions are given as a list, and how many axes these go along."""


class Mixed(NamedTuple):
    """Observations of several kinds, as a torso is given them."""

    images: list[Array]
    """``[..., H, W, C]`` each; of one axis ``[..., W, C]``."""
    features: list[Array]
    """``[..., n]`` each."""


def require_torso(config: Any) -> None:
    """Raise unless the fields ``torso``, ``convolutions``, ``coordinates``, ``pooling`` and ``kernel_init`` of a
    configuration can be."""
    require_choice(config, "torso", (*TORSOS, *OWN))
    require_choice(config, "pooling", POOLINGS)
    initializer(config.kernel_init, nn.initializers.zeros)
    given, own = config.convolutions, config.torso in OWN
    listed = isinstance(given, tuple | list) and all(isinstance(layer, tuple | list) for layer in given)
    require(listed, "convolutions", given, "must be a list of layers, such as ((16, 3, 1),)")
    for layer in given:
        whole = all(isinstance(n, int) and not isinstance(n, bool) for n in layer)
        require(
            whole and len(layer) in (3, 4) and min(layer[:3]) > 0 and min(layer) >= 0, "convolutions", given,
            "each must be three positive integers, (features, kernel size, stride), and as a fourth the padding if "
            f"there is some, got {layer}",
        )  # fmt: skip
    kinds = " or ".join(f"torso={kind!r}" for kind in OWN)
    require(not given or own, "convolutions", given, f"needs {kinds}")
    require(not config.coordinates or own, "coordinates", config.coordinates, f"needs {kinds}")
    require(config.pooling == "flatten" or own, "pooling", config.pooling, f"needs {kinds}")
    require(given or not own, "torso", config.torso, "needs convolutions, such as ((32, 8, 4), (64, 4, 2))")


def conv_settings(config: Any) -> ConvSettings:
    """What the fields ``convolutions``, ``coordinates`` and ``pooling`` of a configuration ask for."""
    return ConvSettings(config.convolutions, config.coordinates, config.pooling)


def torso_kind(space: spaces.Space, kind: str = "auto", convolutions: Sequence[ConvLayer] = ()) -> str:
    """The kind of torso for observations of a space.

    ``auto`` takes the Nature CNN for images of at least 36 x 36, the MinAtar CNN for smaller ones, and dense layers
    where there are none of at least 3 x 3. In a ``Dict`` or ``Tuple`` each image has convolutions of its own, and the
    rest is features. So have sequences ``[W, C]`` with ``conv1d``.

    Args:
        space: of observations.
        kind: one of ``TORSOS``, ``conv`` or ``conv1d``.
        convolutions: the layers of these two, see ``ConvSettings``.

    Raises:
        ValueError: if a convolution is asked for, but the observations are not images, not with their channels last, or
            smaller than its kernel.
    """
    axes = OWN.get(kind, 2)
    images = [leaf.shape for leaf, _ in _leaves(space, None) if is_image(leaf, axes)]
    for shape in images:
        if kind != "mlp" and axes == 2 and _channels_first(shape):
            raise ValueError(
                f"torso={kind!r}: images must be [H, W, C], but {shape} looks like [C, H, W]: move the first axis to "
                "the end, with --env.channels_first true on the command line or jaxrl.envs.channels_last(env) in Python"
            )
    if kind == "auto":
        side = min((min(shape[:2]) for shape in images), default=0)
        return "nature_cnn" if side >= 36 else "minatar_cnn" if side >= 3 else "mlp"
    if kind != "mlp" and not images:
        wanted = "images [H, W, C]" if axes == 2 else "sequences [W, C]"
        raise ValueError(f"torso={kind!r}: needs observations that are {wanted}, got {space}; use 'mlp'")
    field, asked = ("convolutions", convolutions) if kind in OWN else ("torso", kind)
    for shape in images:
        side = min(shape[:axes])
        for _, size, stride, *padding in convolutions if kind in OWN else LAYERS.get(kind, ()):
            side += 2 * sum(padding)
            require(
                side >= size, field, asked,
                f"a kernel of {' x '.join([str(size)] * axes)} finds only {side} pixels a side left of an image "
                f"{shape}, padding included",
            )  # fmt: skip
            side = (side - size) // stride + 1
    return kind


def torso_input(space: spaces.Space, observation: PyTree, kind: str) -> PyTree:
    """What a torso of a kind (of ``torso_kind``) is given: floats ``[..., n]``, or images ``[..., H, W, C]``.

    Bytes are divided by 255, unless they have been normalised. Of a ``Dict`` or ``Tuple`` with images it is ``Mixed``.
    With ``conv1d`` sequences ``[..., W, C]`` take the place of images.
    """
    if kind == "mlp":
        return jax_spaces.flatten(space, observation)
    if isinstance(space, spaces.Box):
        return observation.astype(jnp.float32) * (1 / 255 if observation.dtype == np.uint8 else 1.0)
    leaves = [(*leaf, is_image(leaf[0], OWN.get(kind, 2))) for leaf in _leaves(space, observation)]
    images = [torso_input(leaf, x, kind) for leaf, x, image in leaves if image]
    return Mixed(images, [jax_spaces.flatten(leaf, x) for leaf, x, image in leaves if not image])


def _channels_first(shape: tuple[int, int, int]) -> bool:
    """True for shapes that are hardly ``[H, W, C]``: the first axis is the shortest, and the others make a picture."""
    first, *others = shape
    side = min(others)
    square = others[0] == others[1]
    return first < side and (square or (first <= 4 and side >= 8) or (first <= 16 and side >= 16))


def is_image(space: spaces.Space, axes: int = 2) -> bool:
    """Whether a space is of arrays ``[H, W, C]``, or of one axis ``[W, C]``."""
    return isinstance(space, spaces.Box) and len(space.shape) == axes + 1


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
        convolutions: those of the kinds ``conv`` and ``conv1d``; the activation is theirs too.
    """

    kind: str
    hidden_sizes: Sequence[int]
    activation: str = "relu"
    kernel_init: Initializer = nn.initializers.lecun_normal()
    layer_norm: bool = False
    d2rl: bool = False
    convolutions: ConvSettings = ConvSettings()

    @nn.compact
    def __call__(self, x: Array) -> Array:
        if self.kind != "mlp":
            network = IMAGES.get(self.kind)
            if self.kind in OWN:
                network = functools.partial(Convolutions, self.convolutions, OWN[self.kind], self.activation)
            convolve = lambda x: network(kernel_init=self.kernel_init, layer_norm=self.layer_norm)(x)
            x = jnp.concatenate([*map(convolve, x.images), *x.features], -1) if isinstance(x, Mixed) else convolve(x)
        return MLP(self.hidden_sizes, self.activation, self.kernel_init, self.layer_norm, self.d2rl)(x)
