"""A scan that keeps in its loop only what the recurrence needs.

On a CPU, and for small batches on a GPU, a loop's cost is the number of operations in its body. Of an
environment step and a policy's action, much depends on the random key alone (the noise, the state to
reset to), and much is only output (the log-probability). ``staged_scan`` traces the body once and moves
the first kind before the loop and the second behind it, where they run once, for all steps together.
The numbers are those of ``jax.lax.scan``: the same operations on the same keys.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal, jaxpr_as_fun

PyTree = Any

CALLS = ("jit", "pjit", "closed_call", "core_call")
"""Primitives that only name a block of code: they are opened, so that their parts can move."""

MEMORY_LIMIT = 256 * 2**20
"""Bytes of intermediate results, for one loop, above which nothing is moved."""


def staged_scan(
    step: Callable[[PyTree, PyTree], tuple[PyTree, PyTree]],
    carry: PyTree,
    xs: PyTree,
    *,
    length: jax.Array | int | None = None,
) -> tuple[PyTree, PyTree]:
    """Like ``jax.lax.scan(step, carry, xs)``, with everything outside the loop that can be.

    Args:
        step: ``step(carry, x) -> carry, y``, pure. It may close over arrays and tracers.
        carry: the initial carry; its types must not change.
        xs: ``[T, ...]`` inputs, such as keys.
        length: do only this many steps, ``<= T``; it may be traced. The program, and so the numbers, are
            the same for every length. Then ``step`` must return None as ``y``, and parts that only an
            output needs are not moved.

    Returns:
        The final carry and the outputs ``[T, ...]``.
    """
    carry = jax.tree.map(_strong, carry)
    steps = jax.tree.leaves(xs)[0].shape[0]
    if steps == 0:
        return jax.lax.scan(step, carry, xs)
    x_shapes = jax.eval_shape(lambda xs: jax.tree.map(lambda x: x[0], xs), xs)
    closed, (carry_shape, y_shape) = jax.make_jaxpr(step, return_shape=True)(carry, x_shapes)
    _check_carry(carry, carry_shape)
    program = _Program(closed, num_carry=len(jax.tree.leaves(carry)), sink=length is None)
    if program.bytes_per_step * steps > MEMORY_LIMIT or closed.effects:
        program = _Program(closed, num_carry=len(jax.tree.leaves(carry)), sink=False, hoist=False)

    constants = program.run_constants()
    leaves_x = jax.tree.leaves(xs)
    ahead = jax.vmap(lambda *x: program.run_ahead(constants, x), axis_size=steps)(*leaves_x)

    def body(carry, ahead):
        return program.run_loop(constants, carry, ahead)

    leaves_carry = tuple(jax.tree.leaves(carry))
    if length is None:
        final, saved = jax.lax.scan(body, leaves_carry, ahead, length=steps)
        behind = lambda ahead, saved: program.run_behind(constants, ahead, saved)
        ys = jax.vmap(behind, axis_size=steps)(ahead, saved)
    else:
        if jax.tree.leaves(y_shape):
            raise ValueError("staged_scan with a length needs a step without outputs; accumulate in the carry")
        take = lambda i: jax.tree.map(lambda x: jax.lax.dynamic_index_in_dim(x, i, keepdims=False), ahead)
        final = jax.lax.fori_loop(0, length, lambda i, carry: tuple(body(carry, take(i))[0]), leaves_carry)
        ys = ()
    return jax.tree.unflatten(jax.tree.structure(carry), final), jax.tree.unflatten(jax.tree.structure(y_shape), ys)


class Divided(NamedTuple):
    """A function in two parts, of which the first can be called ahead, for many inputs at once."""

    ahead: Callable[[PyTree], list[Any]]
    """``ahead(x) -> kept``: all that depends on ``x`` alone and is needed later."""
    rest: Callable[[PyTree, list[Any]], PyTree]
    """``rest(carry, kept)`` is ``function(carry, x)``."""
    nbytes: int
    """Memory of what is kept for one input."""


def divide(function: Callable[[PyTree, PyTree], PyTree], carry: PyTree, x: PyTree) -> Divided:
    """Divide ``function(carry, x)``, for a loop that cannot be compiled, as ``staged_scan`` divides its step.

    Args:
        function: pure.
        carry: arrays or shapes.
        x: arrays or shapes, such as a key.
    """
    closed, out_shape = jax.make_jaxpr(function, return_shape=True)(carry, x)
    program = _Program(closed, num_carry=len(jax.tree.leaves(carry)), num_carry_out=0, sink=False)

    def rest(carry: PyTree, kept: list[Any]) -> PyTree:
        constants = program.run_constants()
        _, saved = program.run_loop(constants, jax.tree.leaves(carry), kept)
        return jax.tree.unflatten(jax.tree.structure(out_shape), program.run_behind(constants, kept, saved))

    ahead = lambda x: program.run_ahead(program.run_constants(), jax.tree.leaves(x))
    return Divided(ahead, rest, sum(_nbytes(program.avals[i]) for i in program.ahead_kept))


class _Operation:
    """One primitive of the opened-up body; ``inputs`` and ``outputs`` are slots."""

    def __init__(self, eqn, inputs, outputs, debug_info):
        self.eqn, self.inputs, self.outputs = eqn, inputs, outputs
        self.debug_info = debug_info._replace(arg_names=None, result_paths=None)

    def run(self, slots: dict[int, Any]) -> None:
        arguments = {v: i for v, i in zip(self.eqn.invars, self.inputs, strict=True) if not isinstance(v, Literal)}
        jaxpr = Jaxpr([], list(arguments), self.eqn.outvars, [self.eqn], self.eqn.effects, self.debug_info)
        out = jaxpr_as_fun(ClosedJaxpr(jaxpr, []))(*(slots[i] for i in arguments.values()))
        slots.update(zip(self.outputs, out, strict=True))


class _Program:
    """The body as a list of operations in four groups: constant, ahead of, in, and behind the loop."""

    def __init__(
        self, closed, *, num_carry: int, num_carry_out: int | None = None, sink: bool = True, hoist: bool = True
    ):
        self.values: dict[int, Any] = {}
        self.avals: dict[int, Any] = {}
        self.operations: list[_Operation] = []
        jaxpr = closed.jaxpr
        inputs = [self._slot(v.aval) for v in jaxpr.invars]
        consts = [self._slot(v.aval) for v in jaxpr.constvars]
        self.values.update(zip(consts, closed.consts, strict=True))
        outputs = self._open(jaxpr, consts, inputs)
        self.carry_in, self.xs = inputs[:num_carry], inputs[num_carry:]
        num_carry_out = num_carry if num_carry_out is None else num_carry_out
        self.carry_out, self.ys = outputs[:num_carry_out], outputs[num_carry_out:]
        self._divide(sink, hoist)

    def _slot(self, aval) -> int:
        self.avals[len(self.avals)] = aval
        return len(self.avals) - 1

    def _open(self, jaxpr, consts: list[int], inputs: list[int]) -> list[int]:
        """Append a jaxpr's equations, calls opened, and return its outputs' slots."""
        environment = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *inputs], strict=True))

        def read(atom) -> int:
            if isinstance(atom, Literal):
                slot = self._slot(atom.aval)
                self.values[slot] = atom.val
                return slot
            return environment[atom]

        for eqn in jaxpr.eqns:
            arguments = [read(v) for v in eqn.invars]
            if eqn.primitive.name in CALLS:
                inner = eqn.params.get("jaxpr", eqn.params.get("call_jaxpr"))
                if hasattr(inner, "consts"):
                    inner_consts = [self._slot(v.aval) for v in inner.jaxpr.constvars]
                    self.values.update(zip(inner_consts, inner.consts, strict=True))
                    results = self._open(inner.jaxpr, inner_consts, arguments)
                else:
                    results = self._open(inner, [], arguments)
            else:
                results = [self._slot(v.aval) for v in eqn.outvars]
                self.operations.append(_Operation(eqn, arguments, results, jaxpr.debug_info))
            environment.update(zip(eqn.outvars, results, strict=True))
        return [read(v) for v in jaxpr.outvars]

    def _divide(self, sink: bool, hoist: bool) -> None:
        constant, ahead = set(self.values), set(self.xs)
        self.constant_ops, self.ahead_ops, rest = [], [], []
        for op in self.operations:
            kinds = set(op.inputs)
            if kinds <= constant and not op.eqn.effects:
                constant.update(op.outputs)
                self.constant_ops.append(op)
            elif hoist and kinds <= constant | ahead and not op.eqn.effects:
                ahead.update(op.outputs)
                self.ahead_ops.append(op)
            else:
                rest.append(op)

        needed = set(self.carry_out)
        self.loop_ops: list[_Operation] = []
        self.behind_ops: list[_Operation] = []
        for op in reversed(rest):
            if not sink or needed & set(op.outputs):
                needed.update(op.inputs)
                self.loop_ops.append(op)
            else:
                self.behind_ops.append(op)
        self.loop_ops.reverse()
        if not any(op.eqn.effects for op in self.behind_ops):  # what nothing reads need not be kept for later
            read = set(self.ys)
            alive = []
            for op in self.behind_ops:  # last first
                if read & set(op.outputs):
                    read.update(op.inputs)
                    alive.append(op)
            self.behind_ops = alive
        self.behind_ops.reverse()

        in_loop = set(self.carry_in).union(*(op.outputs for op in self.loop_ops))
        behind_reads = set(self.ys).union(*(op.inputs for op in self.behind_ops))
        loop_reads = set(self.carry_out).union(*(op.inputs for op in self.loop_ops))
        self.saved = sorted(behind_reads & in_loop)
        self.ahead_kept = sorted((loop_reads | behind_reads) & ahead)
        self.bytes_per_step = sum(_nbytes(self.avals[i]) for i in {*self.saved, *self.ahead_kept} - set(self.xs))

    def run_constants(self) -> dict[int, Any]:
        slots = dict(self.values)
        for op in self.constant_ops:
            op.run(slots)
        return slots

    def run_ahead(self, constants, x) -> list[Any]:
        slots = {**constants, **dict(zip(self.xs, x, strict=True))}
        for op in self.ahead_ops:
            op.run(slots)
        return [slots[i] for i in self.ahead_kept]

    def run_loop(self, constants, carry, ahead):
        slots = {
            **constants,
            **dict(zip(self.ahead_kept, ahead, strict=True)),
            **dict(zip(self.carry_in, carry, strict=True)),
        }
        for op in self.loop_ops:
            op.run(slots)
        return tuple(slots[i] for i in self.carry_out), [slots[i] for i in self.saved]

    def run_behind(self, constants, ahead, saved):
        slots = {
            **constants,
            **dict(zip(self.ahead_kept, ahead, strict=True)),
            **dict(zip(self.saved, saved, strict=True)),
        }
        for op in self.behind_ops:
            op.run(slots)
        return [jnp.asarray(slots[i]) for i in self.ys]


def _strong(x: Any) -> Any:
    """Drop a weak type, which would make the carry change its type."""
    if jax.dtypes.issubdtype(getattr(x, "dtype", None), jax.dtypes.prng_key):
        return x
    x = jnp.asarray(x)
    return x.astype(x.dtype)


def _check_carry(carry: PyTree, after: PyTree) -> None:
    before = jax.tree_util.tree_flatten_with_path(jax.eval_shape(lambda: carry))[0]
    if jax.tree.structure(carry) != jax.tree.structure(after):
        raise TypeError(
            f"the carry changes its structure from {jax.tree.structure(carry)} to {jax.tree.structure(after)}"
        )
    for (path, old), new in zip(before, jax.tree.leaves(after), strict=True):
        if (old.shape, old.dtype) != (new.shape, new.dtype):
            name = jax.tree_util.keystr(path)
            raise TypeError(f"the carry{name} changes from {old.dtype}{old.shape} to {new.dtype}{new.shape}")


def _nbytes(aval) -> int:
    itemsize = 8 if jax.dtypes.issubdtype(aval.dtype, jax.dtypes.prng_key) else aval.dtype.itemsize
    return math.prod(aval.shape) * itemsize
