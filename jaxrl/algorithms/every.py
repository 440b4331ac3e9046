"""Steps that are made at some updates only."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp

from jaxrl.types import Array, PyTree


def every(
    period: int,
    count: Array,
    step: Callable[[PyTree, PyTree], tuple[PyTree, dict[str, Array]]],
    state: PyTree,
    inputs: PyTree,
) -> tuple[PyTree, dict[str, Array]]:
    """``step(state, inputs) -> state, metrics`` where the count is a multiple of the period; elsewhere nothing.

    Its metrics count for all the steps left out, so that their mean over updates is that of the steps made.

    Args:
        period: from 1 on.
        count: a scalar.
        step: pure; all arrays that it needs are among its arguments.
        state: what it changes.
        inputs: what else it needs.
    """
    if period == 1:
        return step(state, inputs)
    shapes = jax.eval_shape(step, state, inputs)[1]
    skip = lambda state, inputs: (state, jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes))
    state, metrics = cond(count % period == 0, step, skip, state, inputs)
    return state, jax.tree.map(lambda x: period * x, metrics)


def cond(
    condition: Array, if_true: Callable[..., PyTree], if_false: Callable[..., PyTree], *operands: PyTree
) -> PyTree:
    """``jax.lax.cond`` that leaves a branch out under ``vmap`` too, where the condition is false in all lanes.

    Under ``vmap``, ``jax.lax.cond`` computes both branches in any case. Runs with different seeds count alike, so that
    for them either all or none of the lanes are true. The branches may not close over arrays.
    """

    @jax.custom_batching.custom_vmap
    def choose(condition, operands):
        return jax.lax.cond(condition, if_true, if_false, *operands)

    @choose.def_vmap
    def choose_in_lanes(size, batched, condition, operands):
        axes = jax.tree.map(lambda b: 0 if b else None, batched)
        lanes = lambda branch: lambda *arguments: jax.vmap(branch, axes, axis_size=size)(*arguments)
        select = lambda condition, operands: jax.tree.map(
            partial(jnp.where, condition), if_true(*operands), if_false(*operands)
        )
        neither = lambda condition, operands: if_false(*operands)
        out = cond(jnp.any(condition), lanes(select), lanes(neither), condition, operands)
        return out, jax.tree.map(lambda _: True, out)

    return choose(condition, operands)
