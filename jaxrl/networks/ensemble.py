"""Several networks as one."""

from __future__ import annotations

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

Array = jax.Array


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
    def __call__(self, *inputs: Array | None, train: bool = False) -> Array:
        # Rows of features are repeated: with them once, the product's outputs are [B, size, n] and must be transposed.
        repeated = [x is not None and x.ndim == 2 for x in inputs]
        inputs = [
            jnp.broadcast_to(x, (self.size, *x.shape)) if r else x for x, r in zip(inputs, repeated, strict=True)
        ]
        call = nn.vmap(
            lambda network, *inputs: network(*inputs, train=train),
            variable_axes={"params": 0, "batch_stats": 0},
            split_rngs={"params": True, "dropout": True},
            in_axes=tuple(0 if r else None for r in repeated),
            out_axes=0,
            axis_size=self.size,
        )
        return call(self.make(), *inputs)
