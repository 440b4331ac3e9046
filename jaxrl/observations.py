"""Entries of a ``Dict`` observation that are not features for all: masks, what only a critic may see, and targets.

An environment offers them by these names in its observation space, and nothing else has to know: loops, replay buffers
    and simulators on the host carry them as they carry the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from gymnasium import spaces

from jaxrl import normalization
from jaxrl import spaces as jax_spaces
from jaxrl.validation import require

PyTree = Any

ACTION_MASK = "action_mask"
"""One vector, nonzero where a choice is allowed: an entry for each choice of each discrete part of the action, in
order."""
PRIVILEGED = "privileged"
"""What the critic sees beside the rest, and the actor does not."""
AUXILIARY = "auxiliary"
"""What an auxiliary loss is to predict: neither actor nor critic sees it."""


class Side(NamedTuple):
    """What an actor or a critic is shown."""

    space: spaces.Space
    sees: Callable[[PyTree], PyTree]
    """Takes an element of the space out of a whole observation."""


class Sides(NamedTuple):
    """What is shown to whom."""

    actor: Side
    critic: Side
    allowed: Callable[[PyTree], Any]
    """``allowed(observation)``: the mask ``[..., num_choices]`` of booleans; None without one."""


def sides(space: spaces.Space, action_space: spaces.Space) -> Sides:
    """Tell what actor and critic are shown of observations of a space.

    Raises:
        ValueError: if nothing is left for one of them, or the mask has another size than the action space has choices.
    """
    hidden = ACTION_MASK, AUXILIARY
    mask = action_mask(space, action_space)
    return Sides(
        Side(*without(space, *hidden, PRIVILEGED)),
        Side(*without(space, *hidden)),
        (lambda observation: None) if mask is None else mask,
    )


def without(space: spaces.Space, *names: str) -> tuple[spaces.Space, Callable[[PyTree], PyTree]]:
    """Leave entries out of a ``Dict`` space.

    Returns:
        The space that is left, and the function that takes its elements out of whole observations. A single entry that
        is left stands for itself, not in a dictionary.

    Raises:
        ValueError: if nothing is left.
    """
    if not isinstance(space, spaces.Dict) or not set(names) & set(space.spaces):
        return space, lambda observation: observation
    kept = {name: s for name, s in space.spaces.items() if name not in names}
    require(bool(kept), "observation_space", space, f"needs an entry beside {' and '.join(names)}")
    if len(kept) == 1:
        (name,) = kept
        return kept[name], lambda observation: observation[name]
    return spaces.Dict(kept), lambda observation: {name: observation[name] for name in kept}


def action_mask(space: spaces.Space, action_space: spaces.Space) -> Callable[[PyTree], Any] | None:
    """The function that takes the mask ``[..., num_choices]`` of booleans out of observations; None if there is none.

    Where nothing is allowed, as may be after the last step of an episode or in a part of an action that does not
    matter now, everything is: in each discrete part of the action by itself.

    Raises:
        ValueError: if the mask has another size than the action space has choices.
    """
    if not isinstance(space, spaces.Dict) or ACTION_MASK not in space.spaces:
        return None
    sizes = choices_of(action_space)
    size, choices = jax_spaces.flat_size(space.spaces[ACTION_MASK]), sum(sizes)
    require(
        size == choices and space.spaces[ACTION_MASK].shape == (size,), f"observation_space[{ACTION_MASK!r}]",
        space.spaces[ACTION_MASK], f"must be a vector of {choices} entries, one for each choice of {action_space}",
    )  # fmt: skip

    def mask(observation: PyTree) -> Any:
        allowed = jnp.asarray(observation[ACTION_MASK]) != 0
        parts = jnp.split(allowed, np.cumsum(sizes)[:-1], axis=-1)
        return jnp.concatenate([part | ~jnp.any(part, axis=-1, keepdims=True) for part in parts], axis=-1)

    return mask


def choices_of(action_space: spaces.Space) -> list[int]:
    """How many choices each discrete part of an action has: continuous parts have none, a bit has two."""
    match action_space:
        case spaces.Discrete():
            return [int(action_space.n)]
        case spaces.MultiDiscrete():
            return [int(n) for n in np.ravel(action_space.nvec)]
        case spaces.MultiBinary():
            return [2] * int(np.prod(action_space.shape))
        case spaces.Dict() | spaces.Tuple():
            return [n for s in jax_spaces.children(action_space).values() for n in choices_of(s)]
    return []


def num_choices(action_space: spaces.Space) -> int:
    """How many entries a mask of this action space has."""
    return sum(choices_of(action_space))


def normalizable(space: spaces.Space, observation: PyTree, images: bool = False) -> PyTree:
    """What a normaliser takes of an observation: each ``Box`` but images and bytes, or those too; None for the rest."""
    match space:
        case spaces.Dict():
            names = [name for name in space.spaces if name not in (ACTION_MASK, AUXILIARY)]
            return {name: normalizable(space[name], observation[name], images) for name in names}
        case spaces.Tuple():
            return tuple(normalizable(s, x, images) for s, x in zip(space.spaces, observation, strict=True))
        case spaces.Box() if images or (len(space.shape) < 3 and space.dtype != np.uint8):
            return observation
    return None


def normalized(
    space: spaces.Space,
    observation: PyTree,
    statistics: Any,
    images: bool = False,
    clip: float | None = normalization.CLIP,
) -> PyTree:
    """The observation with the parts that ``normalizable`` takes normalised by their statistics, within a bound."""
    parts = normalizable(space, observation, images)
    return with_replaced(space, observation, normalization.apply(statistics, parts, clip))


def with_replaced(space: spaces.Space, observation: PyTree, replaced: PyTree) -> PyTree:
    """The observation with the parts that ``normalizable`` took replaced."""
    match space:
        case spaces.Dict():
            return {
                name: with_replaced(s, observation[name], replaced[name]) if name in replaced else observation[name]
                for name, s in space.spaces.items()
            }
        case spaces.Tuple():
            return tuple(with_replaced(*x) for x in zip(space.spaces, observation, replaced, strict=True))
    return observation if replaced is None else replaced
