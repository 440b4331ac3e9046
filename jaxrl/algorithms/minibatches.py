"""What algorithms share that learn from each rollout in several passes over minibatches of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree

from jaxrl.algorithms import rollouts
from jaxrl.collectives import as_own
from jaxrl.optimizers import Pair, apply_gradients
from jaxrl.random import minibatch_indices
from jaxrl.types import Array, Key, PyTree
from jaxrl.validation import require, require_positive


@dataclasses.dataclass(frozen=True)
class Config(rollouts.Config):
    """What changes the program's shape."""

    num_epochs: int = 4
    """Passes over each rollout."""
    num_minibatches: int = 4
    """Parts that each pass is split into; must divide ``num_envs * rollout_length``, or the number of sequences."""
    microbatch_size: int | None = None
    """Steps, or sequences, of a minibatch whose gradients are computed at a time, for less memory; they add up to the
    same step. By default all; must divide a minibatch's."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "num_epochs")
        self.require_divisor("num_minibatches")
        self.require_microbatches(self.num_minibatches)

    def require_microbatches(self, num_minibatches: int) -> None:
        """Raise unless each of so many minibatches is made of whole microbatches."""
        if self.microbatch_size is not None:
            require_positive(self, "microbatch_size")
            size = self.num_items // num_minibatches
            kind = "steps" if self.num_items == self.rollout_size else "sequences"
            require(
                size % self.microbatch_size == 0, "microbatch_size", self.microbatch_size,
                f"must divide the {size} {kind} of a minibatch",
            )  # fmt: skip

    @property
    def passes(self) -> Passes:
        """How often, and in how many parts."""
        return Passes(self.num_epochs, self.num_minibatches, self.microbatch_size)


class Passes(NamedTuple):
    """How a rollout is gone through."""

    num_epochs: int
    num_minibatches: int
    microbatch_size: int | None = None


class Control(NamedTuple):
    """What steers a descent by the metrics of its steps."""

    state: PyTree
    step: Callable[[PyTree, dict[str, Array], Array], tuple[PyTree, Array, Array]]
    """``step(state, metrics, last_of_epoch) -> state, learning_rate, go``, with the metrics before the gradient step
    that it decides about. Unless ``go``, neither the parameters nor the optimiser change."""


class Memory(NamedTuple):
    """What each item keeps of the last gradient step that it was a part of."""

    start: PyTree
    """Leaves ``[N, ...]``, before the first."""
    recall: Callable[[PyTree, PyTree], PyTree]
    """``recall(minibatch, kept) -> minibatch`` shows it to the loss."""
    renew: Callable[[PyTree, PyTree], PyTree]
    """``renew(params, minibatch) -> kept``, with the parameters before the step."""


class Descent(NamedTuple):
    """Where a descent ended."""

    params: PyTree
    opt_state: optax.OptState
    metrics: dict[str, Array]
    """Means over all minibatches; with a ``Control`` those up to the first that it did not ``go`` on from."""
    control: PyTree
    """The state of its ``Control``; ``()`` without one."""


def items(rollout: PyTree) -> PyTree:
    """Leaves ``[T, B, ...]`` as ``[T * B, ...]``, single steps."""
    return jax.tree.map(lambda x: x.reshape(x.shape[0] * x.shape[1], *x.shape[2:]), rollout)


def sequences(rollout: PyTree, length: int) -> PyTree:
    """Leaves ``[T, B, ...]`` as ``[N, length, ...]``, consecutive steps; ``N = T / length * B``."""

    def cut(x: Array) -> Array:
        x = x.reshape(x.shape[0] // length, length, *x.shape[1:])
        return items(jnp.moveaxis(x, 1, 2))

    return jax.tree.map(cut, rollout)


def time_major(minibatch: PyTree) -> PyTree:
    """Sequences ``[n, length, ...]`` as ``[length, n, ...]``."""
    return jax.tree.map(lambda x: jnp.moveaxis(x, 0, 1), minibatch)


def descend(
    loss: Callable[[PyTree, PyTree], tuple[Array, dict[str, Array]]],
    optimizer: optax.GradientTransformation,
    params: PyTree,
    opt_state: optax.OptState,
    data: PyTree,
    key: Key,
    passes: Passes,
    *,
    learning_rate: Array | float | Pair,
    max_grad_norm: Array | float | Pair | None,
    control: Control | None = None,
    memory: Memory | None = None,
    axis_name: str | None = None,
    apart: Array | None = None,
    prepare: Callable[[PyTree], PyTree] = lambda minibatch: minibatch,
    valid: Callable[[PyTree], Array | None] = lambda minibatch: None,
) -> Descent:
    """``num_epochs`` passes of gradient descent over a rollout, each in minibatches of an order of its own.

    The optimiser sees the parameters as one vector: many small steps are made of fewer, larger operations. A single
    minibatch is the whole, in its own order.

    With microbatches the gradient of a minibatch is the mean of those of its parts, each weighed by its real steps.

    Args:
        loss: ``loss(params, minibatch) -> value, metrics``.
        optimizer: a direction without a learning rate.
        params: parameters.
        opt_state: ``optimizer.init`` of the parameters as one vector.
        data: leaves ``[N, ...]``, of ``items`` or ``sequences``.
        key: consumed.
        passes: how many.
        learning_rate: step size, unless ``control`` gives another.
        max_grad_norm: bound of the gradient's global norm; None for none.
        control: decides about each step.
        memory: what items keep from one step to the next.
        axis_name: average gradients and metrics over the devices along this axis.
        apart: as for ``apply_gradients``, of the parameters as one vector; rate and bound are pairs then.
        prepare: what is computed of a minibatch as a whole, before it is divided into microbatches.
        valid: the mask of the steps that the means of ``loss`` count, of a minibatch or a part of it; None if all do.
    """
    size = jax.tree.leaves(data)[0].shape[0]
    vector, unravel = ravel_pytree(params)
    whole = passes.num_minibatches == 1

    def gradients_of(vector, minibatch):
        vector = as_own(vector, axis_name, like=minibatch)
        gradient = jax.grad(lambda vector, part: loss(unravel(vector), part), has_aux=True)
        if passes.microbatch_size is None:
            return gradient(vector, minibatch)
        function = lambda part: (gradient(vector, part), _count(valid(part), axis_name))
        return _weighted_mean(function, minibatch, passes.microbatch_size, axis_name)

    def gradient_step(carry, x):
        vector, opt_state, steering, going, kept = carry
        indices, last = x
        of_minibatch = lambda items: items if whole else jax.tree.map(lambda x: x[indices], items)
        minibatch = prepare(of_minibatch(data))
        if memory is not None:
            minibatch = memory.recall(minibatch, of_minibatch(kept))
            new = memory.renew(unravel(vector), minibatch)
            kept = new if whole else jax.tree.map(lambda old, new: old.at[indices].set(new), kept, new)
        gradients, metrics = gradients_of(vector, minibatch)
        if axis_name is not None:
            gradients, metrics = jax.lax.pmean((gradients, metrics), axis_name)
        rate = learning_rate
        if control is not None:
            steering, rate, go = control.step(steering, metrics, last)
        new_vector, new_opt_state, grad_norm = apply_gradients(
            optimizer, vector, opt_state, gradients, learning_rate=rate, max_grad_norm=max_grad_norm, apart=apart
        )
        counts = going
        if control is not None:
            going &= go
            keep = lambda new, old: jax.tree.map(lambda n, o: jnp.where(go, n, o), new, old)
            new_vector, new_opt_state = keep(new_vector, vector), keep(new_opt_state, opt_state)
        return (new_vector, new_opt_state, steering, going, kept), ({**metrics, "grad_norm": grad_norm}, counts)

    steps = passes.num_epochs * passes.num_minibatches
    indices = None if whole else minibatch_indices(key, size, passes.num_epochs, passes.num_minibatches)
    last = None if control is None else jnp.arange(1, steps + 1) % passes.num_minibatches == 0
    # Where nothing steers there is nothing to carry, and all steps count.
    steering = ((), ()) if control is None else (control.state, jnp.array(True))
    start = vector, opt_state, *steering, () if memory is None else memory.start
    end, (metrics, counts) = jax.lax.scan(gradient_step, start, (indices, last), length=steps)
    vector, opt_state, steering, *_ = end
    mean = jnp.mean if control is None else lambda x: jnp.mean(x, where=counts)
    return Descent(unravel(vector), opt_state, jax.tree.map(mean, metrics), steering)


def _count(mask: Array | None, axis_name: str | None) -> Array:
    """How much a part counts: by its real steps, as ``masked_mean`` has it over several devices."""
    if mask is None:
        return jnp.float32(1)
    count = jnp.sum(mask, dtype=jnp.float32)
    return count if axis_name is None else jax.lax.pmean(count, axis_name)


def _weighted_mean(
    function: Callable[[PyTree], tuple[PyTree, Array]], items: PyTree, size: int, axis_name: str | None
) -> PyTree:
    """``sum_i w_i y_i / sum_i w_i`` with ``y_i, w_i = function(part_i)``, of parts of ``size`` items, one at a time."""
    parts = jax.tree.map(lambda x: x.reshape(-1, size, *x.shape[1:]), items)
    shapes = jax.eval_shape(function, jax.tree.map(lambda x: x[0], parts))

    def add(totals, part):
        y, weight = function(part)
        return jax.tree.map(lambda total, y: total + weight * y, totals, (y, jnp.float32(1))), None

    zeros = as_own(jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes), axis_name, like=items)
    (total, weight), _ = jax.lax.scan(add, zeros, parts)
    return jax.tree.map(lambda x: x / jnp.where(weight > 0, weight, 1), total)
