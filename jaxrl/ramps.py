"""Schedules as plain records, without JAX: so the presets that hold them can be listed in no time.

``jaxrl.schedules`` has the same names, and makes a schedule a pytree.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from jaxrl.validation import require

if TYPE_CHECKING:
    import jax


@dataclasses.dataclass(frozen=True)
class Schedule:
    """A piecewise-linear function of training progress, constant before its first and after its last point.

    ``value(t) = interpolate(t, times, values)``, where ``t`` counts environment steps (summed over the
    environments) or, with ``fraction=True``, is the fraction in [0, 1] of the run's total steps.

    Args:
        times: ``[n]`` increasing times.
        values: ``[n]`` values at those times.
        fraction: whether times are fractions of the run or environment steps.
    """

    times: Any
    values: Any
    fraction: bool = False

    def replace(self, **changes: Any) -> Schedule:
        """The same schedule with other fields."""
        return dataclasses.replace(self, **changes)

    def __call__(self, steps: Any, fraction: Any) -> jax.Array:
        import jax.numpy as jnp

        t = jnp.asarray(fraction if self.fraction else steps, jnp.float32)
        # One clipped ramp after another: a few operations, where a search for the interval would be a loop.
        value = jnp.asarray(self.values[0], jnp.float32)
        for i in range(1, len(self.times)):
            ramp = (t - self.times[i - 1]) / (self.times[i] - self.times[i - 1])
            ramp = jnp.clip(ramp, 0.0, 1.0)
            value = (1.0 - ramp) * value + ramp * self.values[i]
        return value


def linear(
    start: float, end: float, *, steps: float | None = None, fraction: float | None = None, delay: float = 0.0
) -> Schedule:
    """Go from ``start`` to ``end`` and stay there.

    Args:
        start: value at the beginning.
        end: value from the end of the ramp on.
        steps: the length of the ramp in environment steps, or
        fraction: its length as a fraction of the run. Exactly one of the two.
        delay: how long to stay at ``start`` first, in the same unit.

    Raises:
        ValueError: unless exactly one of ``steps`` and ``fraction`` is given, and positive.
    """
    if (steps is None) == (fraction is None):
        raise ValueError("linear() takes exactly one of steps= and fraction=, the length of the ramp")
    field, length = ("fraction", fraction) if steps is None else ("steps", steps)
    require(not isinstance(length, int | float) or length > 0, field, length, "the length of the ramp must be positive")
    return Schedule((delay, delay + length), (start, end), fraction=steps is None)


def piecewise(points: list[tuple[float, float]], *, fraction: bool = False) -> Schedule:
    """Interpolate linearly between ``[(time, value), ...]``; times are steps or fractions of the run."""
    times, values = zip(*points, strict=True)
    if list(times) != sorted(set(times)):
        raise ValueError(f"piecewise() needs increasing times, got {list(times)}")
    return Schedule(tuple(times), tuple(values), fraction=fraction)
