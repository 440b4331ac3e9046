"""Convolutions that are fast in a loop on the CPU."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

Array = jax.Array
Strides = tuple[int, int]
Pads = Sequence[tuple[int, int]]

PATCHES = 4 * 2**20
"""Bytes of patches that are made at a time."""


class Conv(nn.Module):
    """A convolution with a bias of images ``[..., H, W, C]`` or sequences ``[..., W, C]``, with the parameters of
    ``flax.linen.Conv``.

    Inside a loop XLA's convolutions on the CPU are some twenty times as slow as outside of one. There this layer is a
    product of the image's patches with the kernel; elsewhere it is XLA's convolution.

    Attributes:
        features: output channels.
        size: of the kernel along each axis.
        stride: pixels between two patches.
        padding: ``VALID``, ``SAME``, or how many zero pixels are put on each side.
        kernel_init: initialiser of the kernel; the bias starts at zero.
        axes: 2 for images, 1 for sequences.
    """

    features: int
    size: int
    stride: int = 1
    padding: str | int = "VALID"
    kernel_init: Callable[..., Array] = nn.initializers.lecun_normal()
    axes: int = 2

    @nn.compact
    def __call__(self, x: Array) -> Array:
        axes, batch, image = self.axes, x.shape[: -self.axes - 1], x.shape[-self.axes - 1 :]
        kernel = self.param("kernel", self.kernel_init, (self.size,) * axes + (image[-1], self.features))
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        # A sequence is an image of one row.
        row = (1,) * (2 - axes)
        x, kernel = x.reshape(-1, *row, *image), kernel.reshape(*row, *kernel.shape)
        strides = (*row, *(self.stride,) * axes)
        if isinstance(self.padding, str):
            pads = jax.lax.padtype_to_pads(x.shape[1:3], kernel.shape[:2], strides, self.padding)
        else:
            pads = [(0, 0)] * (2 - axes) + [(self.padding, self.padding)] * axes
        convolve = convolve_by_products if jax.default_backend() == "cpu" else _convolve
        y = convolve(x, kernel, strides, pads) + bias
        return y.reshape(*batch, *y.shape[3 - axes :])


def convolve_by_products(x: Array, kernel: Array, strides: Strides, pads: Pads) -> Array:
    """The convolution of ``[B, H, W, C]`` with ``[rows, columns, C, F]``, as one product of patches and kernel.

    Patches are made of as many images at a time as stay in the cache, and made anew for the gradient: of 256 Atari
    observations that takes half of the time that all patches at once would.
    """
    images, (*sizes, channels, _) = x.shape[0], kernel.shape
    padded = [n + sum(pad) for n, pad in zip(x.shape[1:3], pads, strict=True)]
    height, width = ((n - size) // stride + 1 for n, size, stride in zip(padded, sizes, strides, strict=True))
    at_once = max(1, PATCHES // (4 * height * width * math.prod(sizes) * channels))
    product = functools.partial(_product, strides=strides, pads=pads, height=height, width=width)
    if images <= at_once:
        return product(x, kernel)
    part = next(n for n in range(at_once, 0, -1) if images % n == 0)
    product = jax.checkpoint(product, prevent_cse=False)
    y = jax.lax.map(lambda x: product(x, kernel), x.reshape(-1, part, *x.shape[1:]))
    return y.reshape(images, *y.shape[2:])


def _product(x: Array, kernel: Array, strides: Strides, pads: Pads, height: int, width: int) -> Array:
    """Where the strides divide the kernel's sides, blocks of as many pixels first become channels, so that fewer and
    larger slices make up the patches."""
    rows, columns, channels, features = kernel.shape
    down, right = strides
    x = jnp.pad(x, ((0, 0), *pads, (0, 0)))
    if down * right > 1 and rows % down == 0 and columns % right == 0:
        rows, columns = rows // down, columns // right
        h, w = height + rows - 1, width + columns - 1
        blocks = x[:, : h * down, : w * right].reshape(-1, h, down, w, right, channels)
        x = blocks.transpose(0, 1, 3, 2, 4, 5).reshape(-1, h, w, down * right * channels)
        kernel = kernel.reshape(rows, down, columns, right, channels, features).transpose(0, 2, 1, 3, 4, 5)
        down = right = 1
    last = lambda start, n, stride: start + (n - 1) * stride + 1
    slices = [
        x[:, i : last(i, height, down) : down, j : last(j, width, right) : right]
        for i in range(rows)
        for j in range(columns)
    ]
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


def _convolve(x: Array, kernel: Array, strides: Strides, pads: Pads) -> Array:
    return jax.lax.conv_general_dilated(x, kernel, strides, pads, dimension_numbers=("NHWC", "HWIO", "NHWC"))
