"""Several networks as one."""

from __future__ import annotations

from collections.abc import Callable

import flax.linen as nn
import jax

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
        call = nn.vmap(
            lambda network, *inputs: network(*inputs, train=train),
            variable_axes={"params": 0, "batch_stats": 0},
            split_rngs={"params": True, "dropout": True},
            in_axes=None,
            out_axes=0,
            axis_size=self.size,
        )
        return call(self.make(), *inputs)
