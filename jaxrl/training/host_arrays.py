"""Where the arrays between the simulators and the programs of a run are: NumPy's on the host, or JAX's on a device."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.envs.host import HostStep
from jaxrl.training.metrics import EpisodeSums, EpisodeTotals
from jaxrl.types import PyTree


class HostArrays:
    """NumPy arrays: what programs return is fetched before simulators or records get it."""

    xp = np

    def __init__(self, num_seeds: int):
        self._num_seeds = num_seeds

    def place(self, tree: PyTree) -> PyTree:
        """Put what programs begin with where they run."""
        return tree

    def fetch(self, tree: PyTree) -> PyTree:
        """What a program returned, as the kind of array that simulators take."""
        return jax.device_get(tree)

    def lanes(self, tree: PyTree) -> list[PyTree]:
        """Each seed's part of ``[S, ...]``."""
        return [jax.tree.map(lambda x, i=i: x[i], tree) for i in range(self._num_seeds)]

    def stack(self, trees: Sequence[PyTree]) -> PyTree:
        """``[S, ...]`` of each seed's part."""
        return (
            jax.tree.map(lambda *x: np.stack(x), *trees)
            if len(trees) > 1
            else jax.tree.map(lambda x: np.asarray(x)[None], trees[0])
        )

    def over_time(self, records: Sequence[PyTree]) -> PyTree:
        """``[S, T, ...]`` of T steps ``[S, ...]`` of S seeds."""
        if len(records) == 1:
            return jax.tree.map(lambda x: x[:, None], records[0])
        return jax.tree.map(lambda *x: np.stack(x, axis=1), *records)

    def episodes(self) -> HostEpisodes:
        """What counts the episodes of an interval."""
        return HostEpisodes(self._num_seeds)


class DeviceArrays:
    """JAX arrays, which stay on their device: nothing is fetched. The methods are those of ``HostArrays``.

    Each is one compiled call, since a call for each array would cost more than the work. Simulators' arrays are
    committed to their device, and so must the state be from the beginning: else every program is compiled twice.
    """

    xp = jnp

    def __init__(self, num_seeds: int, run: Callable[..., Any]):
        """``run(name, *args)`` calls one of the loop's programs."""
        self._num_seeds, self._run = num_seeds, run

    def place(self, tree: PyTree) -> PyTree:
        return jax.device_put(tree, jnp.zeros(()).device)

    def fetch(self, tree: PyTree) -> PyTree:
        return tree

    def lanes(self, tree: PyTree) -> list[PyTree]:
        return self._run("lanes", tree)

    def stack(self, trees: Sequence[PyTree]) -> PyTree:
        return self._run("stack", list(trees))

    def over_time(self, records: Sequence[PyTree]) -> PyTree:
        return self._run("over_time", list(records))

    def episodes(self) -> DeviceEpisodes:
        zero = jax.tree.map(lambda x: jnp.stack([x] * self._num_seeds), EpisodeTotals.zero())
        return DeviceEpisodes(self.place(zero), self._run)


class HostEpisodes:
    """``EpisodeSums`` in NumPy, of each seed."""

    MANY = 4096
    """Episodes that are kept one by one until they are added up."""

    def __init__(self, num_seeds: int):
        self._returns: list[list[float]] = [[] for _ in range(num_seeds)]
        self._lengths: list[list[float]] = [[] for _ in range(num_seeds)]
        self._totals = [(0, 0.0, math.inf, -math.inf, 0.0)] * num_seeds

    def add(self, step: HostStep) -> None:
        """Count the episodes that end in a step ``[S, B]``."""
        ended = ends_of(step)
        if ended.any():
            info = step.timestep.info
            for i, (returns, lengths) in enumerate(zip(self._returns, self._lengths, strict=True)):
                returns.extend(info["episode_return"][i][ended[i]].tolist())
                lengths.extend(info["episode_length"][i][ended[i]].tolist())
                if len(returns) > self.MANY:
                    self._add_up(i)

    def sums(self) -> EpisodeSums:
        """The sums so far, ``[S]``."""
        for i in range(len(self._totals)):
            self._add_up(i)
        return EpisodeSums(*(np.asarray(x, np.float32) for x in zip(*self._totals, strict=True)))

    def _add_up(self, i: int) -> None:
        count, total, lowest, highest, total_length = self._totals[i]
        returns, lengths = self._returns[i], self._lengths[i]
        if returns:
            lowest, highest = min(lowest, *returns), max(highest, *returns)
        self._totals[i] = count + len(returns), total + sum(returns), lowest, highest, total_length + sum(lengths)
        returns.clear()
        lengths.clear()


class DeviceEpisodes:
    """``EpisodeTotals`` on a device, of each seed."""

    def __init__(self, zero: EpisodeTotals, run: Callable[..., Any]):
        self._sums, self._run = zero, run

    def add(self, step: HostStep) -> None:
        self._sums = self._run("count", self._sums, step)

    def sums(self) -> EpisodeTotals:
        return self._sums


def ends_of(step: HostStep) -> Any:
    """Where an episode ended that the statistics of a step are of."""
    t = step.timestep
    ended = t.info.get("episode_ended", t.terminated | t.truncated)
    return ended if step.valid is None else ended & step.valid
