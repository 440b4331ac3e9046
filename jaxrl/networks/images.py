"""Networks of convolutions: from images to features."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import flax.linen as nn
import jax

from jaxrl.networks.activations import ACTIVATIONS
from jaxrl.networks.convolution import Conv
from jaxrl.networks.initializers import Initializer

Array = jax.Array


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


def _flat(x: Array) -> Array:
    return x.reshape(*x.shape[:-3], -1)
