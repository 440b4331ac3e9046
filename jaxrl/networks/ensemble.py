"""Several networks as one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

Array = jax.Array
PyTree = Any


class Ensemble(nn.Module):
    """Networks of one kind with parameters (and dropout) of their own, in one vmapped call on the same inputs.

    Outputs and parameters have a leading axis ``[size, ...]``, so ``params[:k]`` are those of an ensemble of k.

    Attributes:
        make: makes one of them; it is called with ``(*inputs, train=train)``.
        size: how many.
    """

    make: Callable[[], nn.Module]
    size: int

    @nn.compact
    def __call__(self, *inputs: PyTree, train: bool = False) -> Array:
        # Rows of features are repeated: with them once, the product's outputs are [B, size, n] and must be transposed.
        in_axes = jax.tree.map(lambda x: 0 if x.ndim == 2 else None, inputs)
        inputs = jax.tree.map(lambda x: jnp.broadcast_to(x, (self.size, *x.shape)) if x.ndim == 2 else x, inputs)
        call = nn.vmap(
            lambda network, *inputs: network(*inputs, train=train),
            variable_axes={"params": 0, "batch_stats": 0},
            split_rngs={"params": True, "dropout": True},
            in_axes=in_axes,
            out_axes=0,
            axis_size=self.size,
        )
        return call(self.make(), *inputs)
