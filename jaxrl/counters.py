"""A counter that does not overflow at 2^31, without 64-bit integers."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Counter(NamedTuple):
    """A 64-bit counter in two 32-bit words, since JAX has no 64-bit integers by default."""

    low: jax.Array
    high: jax.Array

    @classmethod
    def zero(cls) -> Counter:
        return cls(jnp.zeros((), jnp.uint32), jnp.zeros((), jnp.uint32))

    def add(self, n: int | jax.Array) -> Counter:
        """Count ``n`` more, ``0 <= n < 2^32``."""
        low = self.low + jnp.asarray(n, jnp.uint32)
        return Counter(low, self.high + (low < self.low).astype(jnp.uint32))

    def as_float(self) -> jax.Array:
        """The count, rounded to float32."""
        return self.high.astype(jnp.float32) * 2.0**32 + self.low.astype(jnp.float32)

    def __int__(self) -> int:
        """The exact count, on the host."""
        return (int(self.high) << 32) + int(self.low)
