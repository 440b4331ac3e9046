"""Replay: where transitions are kept, which of them are drawn, and how many steps each spans."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.buffers import sum_tree
from jaxrl.buffers.buffer import Buffer
from jaxrl.buffers.frames import frames_storage
from jaxrl.buffers.ring import following_places, holds, sample_places, uniform_below
from jaxrl.buffers.storage import Storage, rows_storage
from jaxrl.losses.returns import n_step_return
from jaxrl.types import Array, Key, PyTree, Sample
from jaxrl.validation import require


def uniform_replay(
    example: PyTree,
    capacity: int,
    num_envs: int = 1,
    *,
    n_step: int = 1,
    min_n_step: int | None = None,
    frame_stack: int = 0,
    replacement: bool = True,
) -> Buffer:
    """A ring of the last ``capacity`` transitions, sampled uniformly.

    Adding and sampling cost the same at any capacity: each is a slice or a gather in place. Each
    environment has a ring of its own, ``capacity / num_envs`` long.

    Args:
        example: one item, without a batch axis: arrays or shapes. Dtypes are kept. Any pytree will do, but for
            ``n_step`` and ``frame_stack`` it must be a ``Transition``.
        capacity: items to hold; rounded up to a multiple of ``num_envs``.
        num_envs: items added at a time.
        n_step: most steps that a sampled transition spans: its reward is ``sum_i gamma^i r_i``, its end and its
            ``next_observation`` are those of the last step taken. It spans fewer where the episode ends, and where
            the newest transition is reached. ``hp.discount`` must be given to ``sample``.
        min_n_step: with it, how many steps a transition spans is drawn anew whenever it is sampled, uniformly from
            ``[min_n_step, n_step]``.
        frame_stack: for stacked images ``[H, W, C]`` the number of frames of an observation, each of which is then
            stored once (see ``frames_storage``); 0 stores observations as they are.
        replacement: whether a batch may hold a transition twice. Without it, one is drawn from each of ``batch_size``
            parts of what is held, at the same cost.

    Raises:
        ValueError: if a number is out of range, or the observation is not such a stack.
    """
    n_steps = (n_step if min_n_step is None else min_n_step, n_step)
    storage = _storage(example, capacity, num_envs, n_steps, frame_stack)

    def sample(state: Any, key: Key, batch_size: int, hp: Any = None) -> Sample:
        key, length_key = _keys(key, n_steps)
        places = sample_places(
            state.ring, storage.steps, key, batch_size, may_evict=storage.may_evict, replacement=replacement
        )
        return _read(storage, state, places, jnp.ones((batch_size,)), n_steps, length_key, hp)

    return Buffer(
        init=storage.init,
        add=lambda state, transitions, valid=None: storage.add(state, transitions, valid).state,
        sample=sample,
        set_priorities=lambda state, indices, priorities, hp=None: state,
        interrupt=storage.interrupt,
        size=lambda state: jnp.sum(state.ring.filled),
        capacity=storage.steps * num_envs,
        nbytes=storage.nbytes,
    )


class PrioritizedState(NamedTuple):
    storage: Any
    tree: sum_tree.SumTree
    """Of each priority to the power alpha; zero where nothing is held."""
    largest: Array
    """The largest value ever set in the tree: that of new transitions."""


def prioritized_replay(
    example: PyTree,
    capacity: int,
    num_envs: int = 1,
    *,
    n_step: int = 1,
    min_n_step: int | None = None,
    frame_stack: int = 0,
    priority_epsilon: float = 1e-6,
) -> Buffer:
    """A ring of the last ``capacity`` transitions, sampled in proportion to their priorities.

    Transition ``i`` of priority ``p_i`` is drawn with probability ``P(i) = p_i^alpha / sum_k p_k^alpha``, stratified
    (one draw from each of ``batch_size`` equal shares of the sum), with the weight ``(N P(i))^-beta`` divided by the
    largest weight of the batch. New transitions have the largest priority that was ever set (1 at first), so that
    each is likely to be seen. The exponents are the leaves ``hp.priority_exponent`` (alpha) and
    ``hp.importance_exponent`` (beta); alpha is applied when a priority is set.

    In a scan, set the priorities of one iteration at the beginning of the next, before adding and sampling: then
    the tree is written in place. An iteration that samples first and then sets has XLA copy it.

    Args:
        example: as in ``uniform_replay``, and so are ``capacity``, ``num_envs``, ``n_step``, ``min_n_step`` and
            ``frame_stack``.
        priority_epsilon: the smallest priority, so that no transition is lost for ever.

    Raises:
        ValueError: if a number is out of range, or the observation is not such a stack.

    Source: Schaul et al. 2016 (arXiv 1511.05952), algorithm 1 and section 3.4.
    """
    require(priority_epsilon > 0, "priority_epsilon", priority_epsilon, "must be positive")
    n_steps = (n_step if min_n_step is None else min_n_step, n_step)
    storage = _storage(example, capacity, num_envs, n_steps, frame_stack)
    places = storage.steps * num_envs

    def init() -> PrioritizedState:
        return PrioritizedState(storage.init(), sum_tree.init(places), jnp.ones(()))

    def add(state: PrioritizedState, transitions: PyTree, valid: Array | None = None) -> PrioritizedState:
        added = storage.add(state.storage, transitions, valid)
        changed = jnp.where(added.written < places, added.written, sum_tree.LARGEST)
        values = jnp.broadcast_to(state.largest, (num_envs,))
        if added.evicted is not None:
            changed = jnp.concatenate([added.evicted, changed])
            values = jnp.concatenate([jnp.zeros(added.evicted.shape), values])
        return PrioritizedState(added.state, sum_tree.set(state.tree, changed, values), state.largest)

    def sample(state: PrioritizedState, key: Key, batch_size: int, hp: Any) -> Sample:
        key, length_key = _keys(key, n_steps)
        indices = sum_tree.stratified(state.tree, jax.random.uniform(key, (batch_size,)))
        probability = sum_tree.get(state.tree, indices) / sum_tree.total(state.tree)
        weights = (size(state) * probability) ** -hp.importance_exponent
        return _read(storage, state.storage, indices, weights / jnp.max(weights), n_steps, length_key, hp)

    def set_priorities(state: PrioritizedState, indices: Array, priorities: Array, hp: Any) -> PrioritizedState:
        values = jnp.maximum(priorities, priority_epsilon) ** hp.priority_exponent
        values = jnp.where(jnp.isfinite(values), values, state.largest)
        held = holds(state.storage.ring, storage.steps, indices)
        tree = sum_tree.set(state.tree, jnp.where(held, indices, sum_tree.LARGEST), values)
        largest = jnp.maximum(state.largest, jnp.max(jnp.where(held, values, 0.0)))
        return PrioritizedState(state.storage, tree, largest)

    size = lambda state: jnp.sum(state.storage.ring.filled)
    return Buffer(
        init=init,
        add=add,
        sample=sample,
        set_priorities=set_priorities,
        interrupt=lambda state: state._replace(storage=storage.interrupt(state.storage)),
        size=size,
        capacity=places,
        nbytes=storage.nbytes + sum(4 * level.size for level in jax.eval_shape(init).tree.levels) + 4,
        prioritized=True,
    )


def _storage(example: PyTree, capacity: int, num_envs: int, n_steps: tuple[int, int], frame_stack: int) -> Storage:
    require(num_envs > 0, "num_envs", num_envs, "must be positive")
    require(0 < capacity < 2**30, "capacity", capacity, "must be positive and below 2^30")
    steps, (fewest, most) = -(-capacity // num_envs), n_steps
    require(0 < most <= steps, "n_step", most, f"must be positive and at most the {steps} steps held")
    require(0 < fewest <= most, "min_n_step", fewest, f"must be positive and at most n_step={most}")
    require(frame_stack >= 0, "frame_stack", frame_stack, "must not be negative; 0 stores observations as they are")
    if frame_stack:
        return frames_storage(example, steps, num_envs, frame_stack)
    return rows_storage(example, steps, num_envs)


def _keys(key: Key, n_steps: tuple[int, int]) -> tuple[Key, Key | None]:
    """Of the places, and of how many steps each spans where that is drawn."""
    fewest, most = n_steps
    return (key, None) if fewest == most else tuple(jax.random.split(key))


def _read(
    storage: Storage, state: Any, places: Array, weights: Array, n_steps: tuple[int, int], key: Key | None, hp: Any
) -> Sample:
    """The transitions at ``places`` ``[B]``, each with the steps that follow it added up."""
    fewest, most = n_steps
    if most == 1:
        return Sample(storage.read(state, places, None), places, weights, jnp.ones_like(places))
    window, held = following_places(state.ring, storage.steps, places, most)
    if fewest < most:
        drawn = uniform_below(key, places.shape[0], jnp.asarray(most - fewest + 1))
        held = jnp.minimum(held, fewest + drawn)
    reward, terminated, truncated = storage.ends(state, window)
    n = n_step_return(reward, terminated, truncated, hp.discount, held)
    at_last = lambda x: jnp.take_along_axis(x, n.last[:, None], axis=1)[:, 0]
    transitions = storage.read(state, places, at_last(window))
    transitions = transitions._replace(reward=n.reward, terminated=n.terminated, truncated=at_last(truncated))
    return Sample(transitions, places, weights, n.last + 1)
