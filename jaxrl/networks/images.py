"""Networks of convolutions: from images to features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.networks.activations import ACTIVATIONS
from jaxrl.networks.convolution import Conv
from jaxrl.networks.initializers import Initializer

Array = jax.Array

ConvLayer = tuple[int, int, int] | tuple[int, int, int, int]
"""Features, kernel size, stride and, if it is not 0, padding: zero pixels on each side."""


LAYERS: dict[str, tuple[ConvLayer, ...]] = {
    "nature_cnn": ((32, 8, 4), (64, 4, 2), (64, 3, 1)),
    "minatar_cnn": ((16, 3, 1),),
}
"""Those of the networks that leave something of images of a certain size and larger."""


class ConvSettings(NamedTuple):
    """What convolutions of one's own are made of."""

    layers: Sequence[ConvLayer] = ()
    coordinates: bool = False
    """Whether they see each pixel's coordinates (``with_coordinates``)."""
    pooling: str = "flatten"
    """How features are made of the last one's output, a key of ``POOLINGS``."""


class NatureCNN(nn.Module):
    """Three convolutions for images ``[..., 84, 84, C]``: 32 of 8 x 8 (stride 4), 64 of 4 x 4 (2), 64 of 3 x 3.

    Source: Mnih et al. 2015, Methods.
    """

    kernel_init: Initializer = nn.initializers.lecun_normal()
    layer_norm: bool = False

    @nn.compact
    def __call__(self, x: Array) -> Array:
        for features, size, stride in LAYERS["nature_cnn"]:
            x = Conv(features, size, stride, kernel_init=self.kernel_init)(x)
            x = jax.nn.relu(nn.LayerNorm()(x) if self.layer_norm else x)
        return flatten(x)


class MinAtarCNN(nn.Module):
    """One convolution of 16 filters of 3 x 3 for images ``[..., 10, 10, C]``.

    Source: Young & Tian 2019 (arXiv 1903.03176), section 3.
    """

    kernel_init: Initializer = nn.initializers.lecun_normal()
    layer_norm: bool = False

    @nn.compact
    def __call__(self, x: Array) -> Array:
        ((features, size, stride),) = LAYERS["minatar_cnn"]
        x = Conv(features, size, stride, kernel_init=self.kernel_init)(x)
        return flatten(jax.nn.relu(nn.LayerNorm()(x) if self.layer_norm else x))


class Convolutions(nn.Module):
    """Convolutions of one's own, with an activation after each: images ``[..., H, W, C]`` or sequences ``[..., W, C]``
    to features ``[..., n]``.

    Attributes:
        settings: the layers, and what comes before and after them.
        axes: 2 for images, 1 for sequences.
        activation: a key of ``ACTIVATIONS``.
        kernel_init: initialiser of the kernels; biases start at zero.
        layer_norm: whether to normalise before each activation.
    """

    settings: ConvSettings
    axes: int = 2
    activation: str = "relu"
    kernel_init: Initializer = nn.initializers.lecun_normal()
    layer_norm: bool = False

    @nn.compact
    def __call__(self, x: Array) -> Array:
        if self.settings.coordinates:
            x = with_coordinates(x, self.axes)
        for features, size, stride, *padding in self.settings.layers:
            x = Conv(features, size, stride, *(padding or [0]), kernel_init=self.kernel_init, axes=self.axes)(x)
            x = ACTIVATIONS[self.activation](nn.LayerNorm()(x) if self.layer_norm else x)
        return POOLINGS[self.settings.pooling](x, self.axes)


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
        return flatten(jax.nn.relu(norm(x)))


IMAGES: dict[str, Callable[..., nn.Module]] = {
    "nature_cnn": NatureCNN,
    "minatar_cnn": MinAtarCNN,
    "impala_resnet": ImpalaResNet,
}


def with_coordinates(x: Array, axes: int = 2) -> Array:
    """Images ``[..., H, W, C]`` (of one axis ``[..., W, C]``) with their pixels' coordinates as further channels.

    Each runs from -1 at an axis' first pixel to 1 at its last, the row's before the column's.

    Source: Liu et al. 2018 (arXiv 1807.03247).
    """
    grid = _grid(x.shape[-axes - 1 : -1])
    return jnp.concatenate([x, jnp.broadcast_to(grid, (*x.shape[:-1], axes))], axis=-1)


def flatten(x: Array, axes: int = 2) -> Array:
    """All numbers of images ``[..., H, W, C]`` (of one axis ``[..., W, C]``) as features."""
    return x.reshape(*x.shape[: -axes - 1], -1)


def spatial_softargmax(x: Array, axes: int = 2) -> Array:
    """Where each channel of images ``[..., H, W, C]`` (of one axis ``[..., W, C]``) is active: ``[..., C * axes]``.

    ``sum_ij s_ij (y_i, x_j)`` with ``s = exp(x) / sum exp(x)`` over a channel's pixels, and coordinates as of
    ``with_coordinates``: the row's and the column's of the first channel, then those of the second.

    Source: Levine et al. 2016 (arXiv 1504.00702), section 5.1; Finn et al. 2016 (arXiv 1509.06113).
    """
    shape, batch = x.shape[-axes - 1 : -1], x.shape[: -axes - 1]
    share = jax.nn.softmax(x.reshape(*batch, -1, x.shape[-1]), axis=-2)
    return jnp.einsum("...nc,na->...ca", share, _grid(shape).reshape(-1, axes)).reshape(*batch, -1)


POOLINGS: dict[str, Callable[[Array, int], Array]] = {"flatten": flatten, "spatial_softargmax": spatial_softargmax}
"""From the last convolution's output to features."""


def _grid(shape: Sequence[int]) -> np.ndarray:
    """``[*shape, axes]`` coordinates of pixels, in ``[-1, 1]``; 0 along an axis of one pixel."""
    along = [(2 * np.arange(n, dtype=np.float32) - (n - 1)) / max(n - 1, 1) for n in shape]
    return np.stack(np.meshgrid(*along, indexing="ij"), axis=-1)
