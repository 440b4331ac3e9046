"""What training reports: masked sums with fixed shapes, turned into means at the end of an interval."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from jaxrl.counters import Sum
from jaxrl.types import Array, TimeStep


class EpisodeSums(NamedTuple):
    """Sums over the episodes that ended, of their raw return and length: of few, since they are float32."""

    count: Array
    total_return: Array
    lowest: Array
    highest: Array
    total_length: Array

    @classmethod
    def zero(cls) -> EpisodeSums:
        zero = jnp.zeros(())
        return cls(zero, zero, zero + jnp.inf, zero - jnp.inf, zero)  # strong types, as after an addition

    def add(self, timestep: TimeStep) -> EpisodeSums:
        """Count the episodes that end in a time step of any batch shape."""
        return self.add_episodes(
            timestep.terminated | timestep.truncated,
            timestep.info["episode_return"],
            timestep.info["episode_length"],
        )

    def add_episodes(self, ended: Array, returns: Array, lengths: Array) -> EpisodeSums:
        """Count returns and lengths of any batch shape where ``ended`` is true."""
        masked = lambda x: jnp.sum(jnp.where(ended, x, 0.0))
        return EpisodeSums(
            self.count + masked(1.0),
            self.total_return + masked(returns),
            jnp.minimum(self.lowest, jnp.min(jnp.where(ended, returns, jnp.inf))),
            jnp.maximum(self.highest, jnp.max(jnp.where(ended, returns, -jnp.inf))),
            self.total_length + masked(lengths),
        )

    def merge(self, other: EpisodeSums) -> EpisodeSums:
        """The sums over both."""
        return EpisodeSums(
            self.count + other.count,
            self.total_return + other.total_return,
            jnp.minimum(self.lowest, other.lowest),
            jnp.maximum(self.highest, other.highest),
            self.total_length + other.total_length,
        )


class EpisodeTotals(NamedTuple):
    """``EpisodeSums`` over an interval of any length."""

    count: Sum
    total_return: Sum
    lowest: Array
    highest: Array
    total_length: Sum

    @classmethod
    def zero(cls) -> EpisodeTotals:
        part = EpisodeSums.zero()
        return cls(Sum.zero(), Sum.zero(), part.lowest, part.highest, Sum.zero())

    def add(self, part: EpisodeSums) -> EpisodeTotals:
        """Add the sums of a part of the interval."""
        return EpisodeTotals(
            self.count.add(part.count),
            self.total_return.add(part.total_return),
            jnp.minimum(self.lowest, part.lowest),
            jnp.maximum(self.highest, part.highest),
            self.total_length.add(part.total_length),
        )

    def rounded(self) -> EpisodeSums:
        """The sums as float32."""
        return EpisodeSums(*(x.as_float() if isinstance(x, Sum) else x for x in self))


class Totals(NamedTuple):
    """Sums over an interval of any length: of its episodes, and of what its updates report."""

    sums: Sum
    """Of one vector: episodes, their returns, their lengths, then the losses. One addition is a few operations then,
    however many losses there are."""
    lowest: Array
    highest: Array

    @classmethod
    def zero(cls, losses: dict[str, Any]) -> Totals:
        """Nothing yet, of losses with these shapes."""
        part = EpisodeSums.zero()
        size = sum(math.prod(x.shape) for x in losses.values())
        return cls(Sum.zero((3 + size,)), part.lowest, part.highest)

    def add(self, part: EpisodeSums, losses: dict[str, Array]) -> Totals:
        """Add the sums of a part of the interval."""
        vector, _ = ravel_pytree((part.count, part.total_return, part.total_length, losses))
        return Totals(
            self.sums.add(vector), jnp.minimum(self.lowest, part.lowest), jnp.maximum(self.highest, part.highest)
        )

    def rounded(self, losses: dict[str, Any]) -> tuple[EpisodeSums, dict[str, Array]]:
        """The sums as float32, of losses with these shapes."""
        like = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), losses)
        _, unravel = ravel_pytree((*[jnp.zeros(())] * 3, like))
        count, total_return, total_length, losses = unravel(self.sums.as_float())
        return EpisodeSums(count, total_return, self.lowest, self.highest, total_length), losses


class Metrics(NamedTuple):
    """The report of an interval of training."""

    steps: Array
    """Environment steps so far, a float32 for plots (exact counts: ``TrainState.iteration``)."""
    episodes: Array
    """Episodes that ended in the interval."""
    episode_return: Array
    """Mean raw return of these; NaN if none ended. Likewise the next three."""
    episode_return_min: Array
    episode_return_max: Array
    episode_length: Array
    losses: dict[str, Array]
    """Means over the interval's updates."""
    finite: Array
    """Whether all parameters are finite."""


def summarize(episodes: EpisodeSums, losses: dict[str, Array], iterations: Array, steps: Array, params: Any) -> Metrics:
    """Turn an interval's sums, and its number of iterations as a float32, into its report."""
    mean = lambda x: jnp.where(episodes.count > 0, x / jnp.maximum(episodes.count, 1.0), jnp.nan)
    none = episodes.count == 0
    leaves = [x for x in jax.tree.leaves(params) if jnp.issubdtype(x.dtype, jnp.inexact)]
    return Metrics(
        steps=steps,
        episodes=episodes.count,
        episode_return=mean(episodes.total_return),
        episode_return_min=jnp.where(none, jnp.nan, episodes.lowest),
        episode_return_max=jnp.where(none, jnp.nan, episodes.highest),
        episode_length=mean(episodes.total_length),
        losses=jax.tree.map(lambda x: x / jnp.maximum(iterations, 1.0), losses),
        finite=jnp.all(jnp.stack([jnp.all(jnp.isfinite(x)) for x in leaves])) if leaves else jnp.array(True),
    )
