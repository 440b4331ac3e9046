"""Counts and sums that outgrow 32 bits, without 64-bit numbers, which JAX does not have by default."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

LARGEST = 2**63 - 1
"""The largest number of environment steps: the one that other programs can read too."""


class Counter(NamedTuple):
    """A 64-bit counter in two 32-bit words."""

    low: jax.Array
    high: jax.Array

    @classmethod
    def zero(cls) -> Counter:
        return cls(jnp.zeros((), jnp.uint32), jnp.zeros((), jnp.uint32))

    @classmethod
    def of(cls, n: int | jax.Array | Counter) -> Counter:
        """A counter that stands at ``n``: a Python integer below 2^64, an array of integers, or a counter."""
        if isinstance(n, Counter):
            return n
        if isinstance(n, int):
            return cls(jnp.asarray(n & 0xFFFFFFFF, jnp.uint32), jnp.asarray(n >> 32, jnp.uint32))
        low = jnp.asarray(n).astype(jnp.uint32)
        return cls(low, jnp.zeros_like(low))

    def add(self, n: int | jax.Array) -> Counter:
        """Count ``n`` more, ``0 <= n < 2^32``."""
        low = self.low + jnp.asarray(n, jnp.uint32)
        return Counter(low, self.high + (low < self.low).astype(jnp.uint32))

    def until(self, end: Counter, at_most: int) -> jax.Array:
        """The distance to ``end``, which is not before this, but no more than ``at_most``; int32."""
        low = end.low - self.low
        high = end.high - self.high - (end.low < self.low).astype(jnp.uint32)
        return jnp.where(high > 0, jnp.uint32(at_most), jnp.minimum(low, jnp.uint32(at_most))).astype(jnp.int32)

    def as_float(self) -> jax.Array:
        """The count, rounded to float32."""
        return self.high.astype(jnp.float32) * 2.0**32 + self.low.astype(jnp.float32)

    def __int__(self) -> int:
        """The exact count, on the host."""
        return (int(self.high) << 32) + int(self.low)


class Sum(NamedTuple):
    """Sums of many float32 numbers, with 72 bits: each is three float32, and each takes the rounding error of the last.

    A float32 alone stops growing by 1 at 2^24, and drifts long before.

    Source: Knuth 1969, The Art of Computer Programming 2, section 4.2.2, theorem B, for the error of an addition;
    Shewchuk 1997, "Adaptive precision floating-point arithmetic", section 2.4, for sums of several words.
    """

    words: jax.Array
    """``[3, ...]``, the largest first."""

    @classmethod
    def zero(cls, shape: tuple[int, ...] = ()) -> Sum:
        return cls(jnp.zeros((3, *shape)))

    def add(self, x: jax.Array) -> Sum:
        """Add an array of the sums' shape."""
        high, error = _two_sum(self.words[0], x)
        middle, error = _two_sum(self.words[1], error)
        middle, low = _two_sum(middle, self.words[2] + error)
        # What has grown in the lower words goes up, or they would stop growing in their turn.
        high, middle = _two_sum(high, middle)
        return Sum(jnp.stack([high, middle, low]))

    def as_float(self) -> jax.Array:
        """The sums, rounded to float32."""
        return self.words[0] + (self.words[1] + self.words[2])


def _two_sum(a: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array]:
    """``a + b`` rounded, and its rounding error, which is a floating-point number too."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)
