"""The words that every other part of jaxrl speaks.

Shapes in this library: ``T`` steps of time, ``B`` environments of a batch. Rollouts are time-major
``[T, B, ...]``, replay batches ``[B, ...]``. Observations and actions may be pytrees.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

import jax

if TYPE_CHECKING:
    from gymnasium import spaces

Array = jax.Array
PyTree = Any
Key = jax.Array
"""A typed JAX key (``jax.random.key``). Every function consumes each key that it is given once."""


class TimeStep(NamedTuple):
    """What an environment returns from one step.

    ``observation`` is what to act on next; ``next_observation`` is the true successor of the action.
    They differ only where an episode ended and the environment was reset at once.
    """

    observation: PyTree
    next_observation: PyTree
    reward: Array
    terminated: Array
    """The task itself ended: the value of ``next_observation`` is zero."""
    truncated: Array
    """The episode was cut off (a time limit): ``next_observation`` still has a value."""
    info: dict[str, Any]


class Transition(NamedTuple):
    """The raw ingredients of one step, as rollouts and replay store them.

    Never a discount, never a pre-multiplied reward, never the observation after a reset: targets are
    derived from these when they are needed.
    """

    observation: PyTree
    action: PyTree
    reward: Array
    terminated: Array
    truncated: Array
    next_observation: PyTree


class Rollout(NamedTuple):
    """What an on-policy update learns from: ``[T, B, ...]`` consecutive steps of ``B`` environments."""

    transitions: Transition
    extras: dict[str, Array]
    """What ``act`` returned beside the action, such as the behaviour policy's ``log_prob``."""
    carry: PyTree
    """The recurrent state ``[B, ...]`` before the first step; ``()`` for a feed-forward policy."""
    valid: Array | None = None
    """``[T, B]`` mask of real steps, or None when all are (see ``HostEnvironment``)."""


class Sample(NamedTuple):
    """What an off-policy update learns from: a batch drawn from a replay buffer."""

    transitions: Transition
    indices: Array
    """``[B]`` places in the buffer, for setting priorities."""
    weights: Array
    """``[B]`` importance-sampling weights; ones for uniform replay."""
    steps: Array
    """``[B]`` steps of the environment that each transition spans: bootstrap with ``discount ** steps``."""


class Info(NamedTuple):
    """What an update reports."""

    metrics: dict[str, Array]
    """Scalars to log."""
    priorities: Array | None = None
    """``[B]`` new priorities of the sampled items, before the exponent alpha."""


@dataclasses.dataclass(frozen=True)
class Spec:
    """What an algorithm must know of an environment."""

    name: str
    observation_space: spaces.Space
    action_space: spaces.Space
    max_episode_steps: int | None = None
    frame_stack: int = 0
    """How many frames, the newest last, make up the last axis of an image observation; 0 if they are not a stack."""
    reward_shape: tuple[int, ...] = ()
    """``(K,)`` where each step has a vector of rewards; their sum is what is reported."""


@dataclasses.dataclass(frozen=True)
class OnPolicy:
    """How an on-policy algorithm wants to be fed: ``rollout_length`` steps of ``num_envs`` a time."""

    num_envs: int
    rollout_length: int
    kept: Any = None
    """The ``jaxrl.buffers.Buffer`` of earlier rollouts, if the algorithm's state holds one."""

    @property
    def steps_per_iteration(self) -> int:
        return self.num_envs * self.rollout_length


@dataclasses.dataclass(frozen=True, eq=False)
class OffPolicy:
    """How an off-policy algorithm wants to be fed.

    An iteration takes ``steps_per_update`` steps in each of ``num_envs`` environments, adds them to the
    buffer, and then makes ``updates_per_iteration`` updates of ``batch_size`` sampled transitions.
    Before the first, ``prefill`` transitions (rounded up to whole steps) are collected.
    """

    num_envs: int
    batch_size: int
    prefill: int
    buffer: Any
    """A ``jaxrl.buffers.Buffer``."""
    steps_per_update: int = 1
    updates_per_iteration: int = 1

    @property
    def steps_per_iteration(self) -> int:
        return self.num_envs * self.steps_per_update


State = TypeVar("State")


class Act(Protocol):
    """``act(policy, observation, carry, key, hp, explore=True) -> action, carry, extras``.

    ``observation`` has a leading batch axis ``[B, ...]``, and so has the action. With
    ``explore=False`` (a Python bool) the action is the policy's deterministic choice.
    """

    def __call__(
        self, policy: PyTree, observation: PyTree, carry: PyTree, key: Key, hp: Any, explore: bool = True
    ) -> tuple[PyTree, PyTree, dict[str, Array]]: ...


@dataclasses.dataclass(frozen=True, eq=False)
class Workers(Generic[State]):
    """An update in two halves, between which the state may have gone on."""

    count: int
    """Workers between which ``OnPolicy.num_envs`` environments are divided."""
    gradient: Callable[[State, Rollout, Any], tuple[PyTree, dict[str, Array]]]
    """``gradient(state, rollout, hp) -> gradients, metrics``: at the state that collected the rollout."""
    apply: Callable[[State, PyTree, Any], State]
    """``apply(state, gradients, hp) -> state``: to a state that may be newer."""


@dataclasses.dataclass(frozen=True, eq=False)
class Algorithm(Generic[State]):
    """An algorithm: a frozen record of pure functions, as an optax transformation is two.

    The functions hold no state and close over nothing but static configuration, so they can be jitted,
    vmapped over seeds (the key) and over hyper-parameters (the leaves of ``hp``), and called from a loop
    of your own. Continuous actions (a ``Box``) are always in ``[-1, 1]``: the training loops rescale them
    to the environment's bounds with ``jaxrl.envs.rescale_action``.
    """

    name: str
    spec: Spec
    config: Any
    """Static: sizes, counts, switches. Frozen and hashable."""
    hyperparameters: Any
    """Defaults: a pytree of scalars (or ``Schedule``s)."""
    feed: OnPolicy | OffPolicy
    init: Callable[[Key, Any], State]
    """``init(key, hp) -> state``."""
    policy: Callable[[State], PyTree]
    """``policy(state) -> policy``: the slice of the state that acting needs."""
    act: Act
    update: Callable[[State, Any, Key, Any], tuple[State, Info]]
    """``update(state, batch, key, hp) -> state, info``; the batch is a ``Rollout`` or a ``Sample``."""
    value: Callable[[State, PyTree], Array]
    """``value(state, observation [B, ...]) -> [B]``: the state value that the algorithm believes in."""
    initial_carry: Callable[[int], PyTree] = lambda batch_size: ()
    """``initial_carry(B) -> carry``: the recurrent state at the start of an episode."""
    reset_carry: bool = True
    """Whether every episode starts with that state; else it goes on from the last one's end."""
    evaluation_policy: Callable[[State], PyTree] | None = None
    """What acting in an evaluation needs, where that is another than ``policy``."""
    observe: Callable[[State, Transition, Array | None, Any], State] | None = None
    """``observe(state, transitions, valid, hp) -> state``: what steps ``[B, ...]`` teach by themselves, such as
    statistics of observations. The off-policy loops call it with each step, also of the prefill; ``valid``: see
    ``Buffer.add``."""
    interrupt: Callable[[State], State] | None = None
    """``interrupt(state) -> state``: the episodes under way will not go on: their simulators were started anew."""
    workers: Workers[State] | None = None
    """How workers that do not wait for each other learn, if the algorithm can be divided between such."""

    def evaluated(self, state: State) -> PyTree:
        """The policy that an evaluation plays."""
        return (self.evaluation_policy or self.policy)(state)
