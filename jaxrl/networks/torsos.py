"""Torsos: from observations to features."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces

from jaxrl import spaces as jax_spaces
from jaxrl.networks.convolution import Conv
from jaxrl.networks.initializers import Initializer, orthogonal
from jaxrl.validation import did_you_mean, require, require_choice

Array = jax.Array
PyTree = Any

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "elu": jax.nn.elu,
    "selu": jax.nn.selu,
    "silu": jax.nn.silu,
    "swish": jax.nn.silu,
    "gelu": jax.nn.gelu,
    "softplus": jax.nn.softplus,
    "sigmoid": jax.nn.sigmoid,
    "identity": lambda x: x,
}


def _scaled(scale: float, mode: str, distribution: str) -> Callable[[float], Initializer]:
    return lambda gain: nn.initializers.variance_scaling(scale * gain**2, mode, distribution)


INITIALIZERS: dict[str, Callable[[float], Initializer]] = {
    "lecun_normal": _scaled(1.0, "fan_in", "truncated_normal"),
    "lecun_uniform": _scaled(1.0, "fan_in", "uniform"),
    "glorot_normal": _scaled(1.0, "fan_avg", "truncated_normal"),
    "glorot_uniform": _scaled(1.0, "fan_avg", "uniform"),
    "kaiming_normal": _scaled(2.0, "fan_in", "truncated_normal"),
    "kaiming_uniform": _scaled(2.0, "fan_in", "uniform"),
    "orthogonal": orthogonal,
}
"""Initialisers of kernels by name, each a function of a gain that multiplies the weights."""


def initializer(text: str, default: Initializer) -> Initializer:
    """What a configuration's ``kernel_init`` asks for.

    Args:
        text: ``default``, or a name of ``INITIALIZERS``, with a gain if it is not 1: ``orthogonal(1.4142)``.
        default: what ``default`` stands for.

    Raises:
        ValueError: if it is neither.

    Source: LeCun et al. 1998, Glorot & Bengio 2010, He et al. 2015 (arXiv 1502.01852), Saxe et al. 2014 (arXiv
        1312.6120).
    """
    name, bracket, rest = text.partition("(")
    try:
        gain = float(rest.removesuffix(")")) if bracket else 1.0
    except ValueError:
        gain = 0.0
    whole = rest.endswith(")") if bracket else True
    require(
        whole and 0 < gain < math.inf and (name in INITIALIZERS or text == "default"), "kernel_init", text,
        f"must be default or one of {', '.join(INITIALIZERS)}, or such a name with a gain: orthogonal(1.4142)"
        f"{did_you_mean(name, ('default', *INITIALIZERS))}",
    )  # fmt: skip
    return default if text == "default" else INITIALIZERS[name](gain)


def symmetric_uniform(bound: float) -> Initializer:
    """Uniform in ``[-bound, bound]``."""
    return lambda key, shape, dtype=jnp.float32: jax.random.uniform(key, shape, dtype, -bound, bound)


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


class NatureCNN(nn.Module):
    """Three convolutions for images ``[..., 84, 84, C]``: 32 of 8 x 8 (stride 4), 64 of 4 x 4 (2), 64 of 3 x 3.

    Source: Mnih et al. 2015, Methods.
    """

    kernel_init: Initializer = nn.initializers.lecun_normal()
    layer_norm: bool = False

    @nn.compact
    def __call__(self, x: Array) -> Array:
        for features, size, stride in ((32, 8, 4), (64, 4, 2), (64, 3, 1)):
            x = Conv(features, size, stride, kernel_init=self.kernel_init)(x)
            x = jax.nn.relu(nn.LayerNorm()(x) if self.layer_norm else x)
        return _flat(x)


class MinAtarCNN(nn.Module):
    """One convolution of 16 filters of 3 x 3 for images ``[..., 10, 10, C]``.

    Source: Young & Tian 2019 (arXiv 1903.03176), section 3.
    """

    kernel_init: Initializer = nn.initializers.lecun_normal()
    layer_norm: bool = False

    @nn.compact
    def __call__(self, x: Array) -> Array:
        x = Conv(16, 3, kernel_init=self.kernel_init)(x)
        return _flat(jax.nn.relu(nn.LayerNorm()(x) if self.layer_norm else x))


class Convolutions(nn.Module):
    """Convolutions of one's own for images ``[..., H, W, C]``, without padding, with an activation after each.

    Attributes:
        layers: features, side of the kernel and stride of each.
        activation: a key of ``ACTIVATIONS``.
        kernel_init: initialiser of the kernels; biases start at zero.
        layer_norm: whether to normalise before each activation.
    """

    layers: Sequence[tuple[int, int, int]]
    activation: str = "relu"
    kernel_init: Initializer = nn.initializers.lecun_normal()
    layer_norm: bool = False

    @nn.compact
    def __call__(self, x: Array) -> Array:
        for features, size, stride in self.layers:
            x = Conv(features, size, stride, kernel_init=self.kernel_init)(x)
            x = ACTIVATIONS[self.activation](nn.LayerNorm()(x) if self.layer_norm else x)
        return _flat(x)


class ImpalaResNet(nn.Module):
    """Three sections of a convolution, a maximum pool and two residual blocks, 16, 32 and 32 channels wide.

    Source: Espeholt et al. 2018 (arXiv 1802.01561), figure 3 (right).
    """

    channels: Sequence[int] = (16, 32, 32)
    kernel_init: Initializer = nn.initializers.lecun_normal()
    layer_norm: bool = False

    @nn.compact
    def __call__(self, x: Array) -> Array:
        norm = lambda x: nn.LayerNorm()(x) if self.layer_norm else x
        convolution = lambda features: Conv(features, 3, padding="SAME", kernel_init=self.kernel_init)
        for features in self.channels:
            x = nn.max_pool(convolution(features)(x), (3, 3), strides=(2, 2), padding="SAME")
            for _ in range(2):
                y = convolution(features)(jax.nn.relu(norm(x)))
                x = x + convolution(features)(jax.nn.relu(norm(y)))
        return _flat(jax.nn.relu(norm(x)))


IMAGES: dict[str, Callable[..., nn.Module]] = {
    "nature_cnn": NatureCNN,
    "minatar_cnn": MinAtarCNN,
    "impala_resnet": ImpalaResNet,
}
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


def _flat(x: Array) -> Array:
    return x.reshape(*x.shape[:-3], -1)
