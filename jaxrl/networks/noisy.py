"""Noisy layers: exploration by noise on the parameters."""

from __future__ import annotations

import math
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxrl.networks.initializers import symmetric_uniform

Array = jax.Array

NOISE = ("none", "factorised", "independent")


class Noise(NamedTuple):
    """Where the noise of one call of a network comes from."""

    key: Array
    per_row: bool = False
    """Whether each row ``[B]`` of the input has a draw of its own, as each environment must when acting; one draw for
    all rows is what the papers take for an update."""

    def draw(self, batch_size: int, size: int) -> Array:
        """``[batch_size or 1, size]`` unit normals: all that a network needs, in one go."""
        return jax.random.normal(self.key, (batch_size if self.per_row else 1, size))


def noise_size(inputs: int, features: int, independent: bool) -> int:
    """How many unit normals a ``NoisyDense`` takes."""
    return (inputs + 1) * features if independent else inputs + features


class NoisyDense(nn.Module):
    """``y = (W + S_w * e_w) x + b + S_b * e_b`` with learnt deviations ``S`` and unit normal ``e``.

    Factorised noise is ``e_w = f(e_in) f(e_out)^T`` and ``e_b = f(e_out)`` with ``f(e) = sgn(e) sqrt(|e|)``; then the
    product is two of ordinary size, and a draw for each row costs next to nothing. Independent noise has a draw for
    each weight. Without noise the layer is ``W x + b``, as in evaluation.

    It is called with ``x`` ``[B, ..., inputs]`` and unit normals ``[B or 1, noise_size]``, or None.

    Attributes:
        features: outputs.
        independent: independent instead of factorised noise.
        sigma: the deviation at the start: factorised, ``sigma / sqrt(inputs)`` for every one (the bias too);
            independent, 0.017.

    Source: Fortunato et al. 2018 (arXiv 1706.10295), equations 8 to 11 and section 3.2.
    """

    features: int
    independent: bool = False
    sigma: float = 0.5

    @nn.compact
    def __call__(self, x: Array, normals: Array | None = None) -> Array:
        inputs = x.shape[-1]
        bound = math.sqrt((3.0 if self.independent else 1.0) / inputs)
        deviation = nn.initializers.constant(0.017 if self.independent else self.sigma / math.sqrt(inputs))
        uniform = symmetric_uniform(bound)
        kernel = self.param("kernel", uniform, (inputs, self.features))
        bias = self.param("bias", uniform, (self.features,))
        kernel_sigma = self.param("kernel_sigma", deviation, (inputs, self.features))
        bias_sigma = self.param("bias_sigma", deviation, (self.features,))
        if normals is None:
            return x @ kernel + bias
        between = (1,) * (x.ndim - 2)
        if self.independent:
            e_w, e_b = jnp.split(normals, [inputs * self.features], axis=1)
            e_w = e_w.reshape(-1, *between, inputs, self.features)
            e_b = e_b.reshape(-1, *between, self.features)
            if e_w.shape[0] == 1:
                return x @ (kernel + kernel_sigma * e_w.reshape(kernel.shape)) + bias + bias_sigma * e_b
            return x @ kernel + jnp.einsum("...i,...io->...o", x, kernel_sigma * e_w) + bias + bias_sigma * e_b
        e_in, e_out = jnp.split(_signed_root(normals), [inputs], axis=1)
        if e_in.shape[0] == 1:
            # One noise for all: one product with the noisy weights.
            return x @ (kernel + kernel_sigma * e_in.T * e_out) + bias + bias_sigma * e_out.reshape(-1)
        e_in, e_out = e_in.reshape(-1, *between, inputs), e_out.reshape(-1, *between, self.features)
        return x @ kernel + bias + ((x * e_in) @ kernel_sigma + bias_sigma) * e_out


def _signed_root(x: Array) -> Array:
    return jnp.sign(x) * jnp.sqrt(jnp.abs(x))
