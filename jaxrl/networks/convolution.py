"""Convolutions that are fast in a loop on the CPU."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

Array = jax.Array

PATCHES = 4 * 2**20
"""Bytes of patches that are made at a time."""


class Conv(nn.Module):
    """A square convolution with a bias of images ``[..., H, W, C]``, with the parameters of ``flax.linen.Conv``.

    Inside a loop XLA's convolutions on the CPU are some twenty times as slow as outside of one. There this layer is a
    product of the image's patches with the kernel; elsewhere it is XLA's convolution.

    Attributes:
        features: output channels.
        size: side of the kernel.
        stride: pixels between two patches.
        padding: ``VALID`` or ``SAME``.
        kernel_init: initialiser of the kernel; the bias starts at zero.
    """

    features: int
    size: int
    stride: int = 1
    padding: str = "VALID"
    kernel_init: Callable[..., Array] = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, x: Array) -> Array:
        kernel = self.param("kernel", self.kernel_init, (self.size, self.size, x.shape[-1], self.features))
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        batch = x.shape[:-3]
        x = x.reshape(-1, *x.shape[-3:])
        convolve = convolve_by_products if jax.default_backend() == "cpu" else _convolve
        y = convolve(x, kernel, self.stride, self.padding) + bias
        return y.reshape(*batch, *y.shape[1:])


def convolve_by_products(x: Array, kernel: Array, stride: int, padding: str) -> Array:
    """The convolution of ``[B, H, W, C]`` with ``[size, size, C, F]``, as one product of patches and kernel.

    Patches are made of as many images at a time as stay in the cache, and made anew for the gradient: of 256 Atari
    observations that takes half of the time that all patches at once would.
    """
    images, (size, _, channels, _) = x.shape[0], kernel.shape
    pads = jax.lax.padtype_to_pads(x.shape[1:3], (size, size), (stride, stride), padding)
    height, width = ((n + sum(pad) - size) // stride + 1 for n, pad in zip(x.shape[1:3], pads, strict=True))
    at_once = max(1, PATCHES // (4 * height * width * size * size * channels))
    product = functools.partial(_product, stride=stride, pads=pads, height=height, width=width)
    if images <= at_once:
        return product(x, kernel)
    part = next(n for n in range(at_once, 0, -1) if images % n == 0)
    product = jax.checkpoint(product, prevent_cse=False)
    y = jax.lax.map(lambda x: product(x, kernel), x.reshape(-1, part, *x.shape[1:]))
    return y.reshape(images, *y.shape[2:])


def _product(x: Array, kernel: Array, stride: int, pads: list[tuple[int, int]], height: int, width: int) -> Array:
    """Where the stride divides the kernel's side, blocks of ``stride * stride`` pixels first become channels, so that
    fewer and larger slices make up the patches."""
    size, _, channels, features = kernel.shape
    x = jnp.pad(x, ((0, 0), *pads, (0, 0)))
    if stride > 1 and size % stride == 0:
        size //= stride
        rows, columns = height + size - 1, width + size - 1
        blocks = x[:, : rows * stride, : columns * stride].reshape(-1, rows, stride, columns, stride, channels)
        x = blocks.transpose(0, 1, 3, 2, 4, 5).reshape(-1, rows, columns, stride * stride * channels)
        kernel = kernel.reshape(size, stride, size, stride, channels, features).transpose(0, 2, 1, 3, 4, 5)
        stride = 1
    last = lambda start, n: start + (n - 1) * stride + 1
    slices = [x[:, i : last(i, height) : stride, j : last(j, width) : stride] for i in range(size) for j in range(size)]
    return _multiply(jnp.concatenate(slices, axis=-1), kernel.reshape(-1, features))


@jax.custom_vjp
def _multiply(patches: Array, kernel: Array) -> Array:
    """``[..., K]`` patches times the kernel ``[K, F]``.

    The kernel's gradient is a product whose result is small and whose inner dimension is long. On the CPU it takes two
    to four times as long in one piece as in two, of which the patches are the right-hand side.
    """
    return patches @ kernel


def _multiply_forward(patches: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return patches @ kernel, (patches, kernel)


def _multiply_backward(residuals: tuple[Array, Array], gradient: Array) -> tuple[Array, Array]:
    patches, kernel = residuals
    pieces = 2 if math.prod(gradient.shape[:-1]) % 2 == 0 else 1
    rows = lambda x: x.reshape(pieces, -1, x.shape[-1])
    of_kernel = jnp.einsum("nmf,nmk->nfk", rows(gradient), rows(patches))
    return gradient @ kernel.T, jnp.sum(of_kernel, axis=0).T


_multiply.defvjp(_multiply_forward, _multiply_backward)


def _convolve(x: Array, kernel: Array, stride: int, padding: str) -> Array:
    numbers = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, kernel, (stride, stride), padding, dimension_numbers=numbers)
