"""Noisy layers: exploration by noise on the parameters."""

from __future__ import annotations

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxrl.networks.torsos import Initializer

Array = jax.Array

NOISE = ("none", "factorised", "independent")


class Noise:
    """Where the noise of one call comes from: a key, for one draw that all rows share, or for a draw for each row.

    Args:
        key: of the call.
        per_row: whether each row ``[B]`` of the input has noise of its own, as each environment must when acting;
            one draw is what the papers take for an update.
    """

    def __init__(self, key: Array, per_row: bool = False):
        self.key, self.per_row = key, per_row

    def normal(self, layer: int, x: Array, *shape: int) -> Array:
        """Unit normals ``[B or 1, ..., *shape]`` for one layer applied to ``x`` ``[B, ..., n]``."""
        rows = x.shape[0] if self.per_row else 1
        return jax.random.normal(jax.random.fold_in(self.key, layer), (rows, *(1,) * (x.ndim - 2), *shape))


class NoisyDense(nn.Module):
    """``y = (W + S_w * e_w) x + b + S_b * e_b`` with learnt deviations ``S`` and unit normal ``e``.

    Factorised noise is ``e_w = f(e_in) f(e_out)^T`` and ``e_b = f(e_out)`` with ``f(e) = sgn(e) sqrt(|e|)``; then the
    product is two of ordinary size, and a draw for each row costs next to nothing. Independent noise has a draw for
    each weight. Without noise the layer is ``W x + b``, as in evaluation.

    Attributes:
        features: outputs.
        layer: a number that tells this layer's noise from that of others.
        independent: independent instead of factorised noise.
        sigma: the deviation at the start: factorised, ``sigma / sqrt(inputs)`` for every one (the bias too);
            independent, 0.017.

    Source: Fortunato et al. 2018 (arXiv 1706.10295), equations 8 to 11 and section 3.2.
    """

    features: int
    layer: int
    independent: bool = False
    sigma: float = 0.5

    @nn.compact
    def __call__(self, x: Array, noise: Noise | None = None) -> Array:
        inputs = x.shape[-1]
        bound = math.sqrt((3.0 if self.independent else 1.0) / inputs)
        deviation = nn.initializers.constant(0.017 if self.independent else self.sigma / math.sqrt(inputs))
        uniform = _uniform(bound)
        kernel = self.param("kernel", uniform, (inputs, self.features))
        bias = self.param("bias", uniform, (self.features,))
        kernel_sigma = self.param("kernel_sigma", deviation, (inputs, self.features))
        bias_sigma = self.param("bias_sigma", deviation, (self.features,))
        y = x @ kernel + bias
        if noise is None:
            return y
        if self.independent:
            e_w = noise.normal(2 * self.layer, x, inputs, self.features)
            e_b = noise.normal(2 * self.layer + 1, x, self.features)
            return y + jnp.einsum("...i,...io->...o", x, kernel_sigma * e_w) + bias_sigma * e_b
        e_in = _signed_root(noise.normal(2 * self.layer, x, inputs))
        e_out = _signed_root(noise.normal(2 * self.layer + 1, x, self.features))
        return y + ((x * e_in) @ kernel_sigma + bias_sigma) * e_out


def _uniform(bound: float) -> Initializer:
    return lambda key, shape, dtype=jnp.float32: jax.random.uniform(key, shape, dtype, -bound, bound)


def _signed_root(x: Array) -> Array:
    return jnp.sign(x) * jnp.sqrt(jnp.abs(x))
