"""What every algorithm that learns from a replay buffer shares: how it is fed."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jaxrl import spaces as jax_spaces
from jaxrl.buffers.replay import prioritized_replay, uniform_replay
from jaxrl.networks.torsos import is_image
from jaxrl.schedules import linear
from jaxrl.types import OffPolicy, Spec, Transition
from jaxrl.validation import require, require_positive


@dataclasses.dataclass(frozen=True)
class Config:
    """What changes the program's shape, in every algorithm with a replay buffer."""

    num_envs: int = 1
    """Environments stepped side by side."""
    buffer_size: int = 100_000
    """Transitions that the replay buffer holds."""
    batch_size: int = 64
    """Transitions of an update."""
    prefill: int = 1_000
    """Transitions collected by a random policy before the first update."""
    n_step: int = 1
    """Steps whose rewards are added up before bootstrapping."""
    min_n_step: int | None = None
    """With it, how many they are is drawn for each transition of a batch, from ``min_n_step`` to ``n_step``."""
    replacement: bool = True
    """Whether a batch of uniform replay may hold a transition twice."""
    prioritized: bool = False
    """Whether to sample in proportion to the last errors instead of uniformly."""
    priority_epsilon: float = 1e-6
    """The smallest priority, so that none is lost for ever."""
    frame_stack: int | None = None
    """Frames of an image observation, each stored once; 0 stores whole observations; by default what the
    environment says."""
    steps_per_update: int = 1
    """Steps of each environment between two rounds of updates."""
    updates_per_iteration: int = 1
    """Updates in each round."""
    adam_epsilon: float = 1e-8
    """Added to Adam's denominator."""

    def __post_init__(self) -> None:
        require_positive(
            self, "num_envs", "buffer_size", "batch_size", "prefill", "n_step", "steps_per_update",
            "updates_per_iteration",
        )  # fmt: skip
        require(
            self.prefill <= self.buffer_size, "prefill", self.prefill, f"must fit in buffer_size={self.buffer_size}"
        )
        require(
            self.min_n_step is None or 1 <= self.min_n_step <= self.n_step,
            "min_n_step", self.min_n_step, f"must be in [1, n_step={self.n_step}]",
        )  # fmt: skip
        require(self.priority_epsilon > 0, "priority_epsilon", self.priority_epsilon, "must be positive")
        require(
            self.replacement or not self.prioritized, "replacement", self.replacement, "is for uniform replay alone"
        )
        require(
            self.replacement or self.batch_size <= self.prefill, "prefill", self.prefill,
            f"must hold a batch of {self.batch_size} without replacement",
        )  # fmt: skip


@struct.dataclass
class Hyperparameters:
    """What an experimenter tunes, in every algorithm with a replay buffer: leaves, each a scalar or a ``Schedule``."""

    discount: Any = 0.99
    """gamma"""
    tau: Any = 0.005
    """How far a polyak target moves towards the online network at each update."""
    priority_exponent: Any = 0.6
    """alpha: how much priorities matter; 0 is uniform."""
    importance_exponent: Any = dataclasses.field(default_factory=lambda: linear(0.4, 1.0, fraction=1.0))
    """beta: how much of the bias that priorities bring is corrected."""


def make_feed(spec: Spec, config: Config) -> OffPolicy:
    """The replay buffer, and the rhythm of steps and updates, that a configuration asks for."""
    return OffPolicy(
        num_envs=config.num_envs,
        batch_size=config.batch_size,
        prefill=config.prefill,
        buffer=make_buffer(spec, config),
        steps_per_update=config.steps_per_update,
        updates_per_iteration=config.updates_per_iteration,
    )


def make_buffer(spec: Spec, config: Config) -> Any:
    """The replay buffer that a configuration asks for."""
    observation = jax_spaces.shapes(spec.observation_space)
    scalar = lambda dtype: jax.ShapeDtypeStruct((), dtype)
    example = Transition(
        observation,
        jax_spaces.shapes(jax_spaces.canonical(spec.action_space)),
        scalar(jnp.float32),
        scalar(jnp.bool_),
        scalar(jnp.bool_),
        observation,
    )
    if config.prioritized:
        replay = partial(prioritized_replay, priority_epsilon=config.priority_epsilon)
    else:
        replay = partial(uniform_replay, replacement=config.replacement)
    frame_stack = spec.frame_stack if config.frame_stack is None else config.frame_stack
    require(
        not config.frame_stack or is_image(spec.observation_space), "frame_stack", config.frame_stack,
        f"is for observations that are stacks of images [H, W, C], not {spec.observation_space}",
    )  # fmt: skip
    return replay(
        example, config.buffer_size, config.num_envs,
        n_step=config.n_step, min_n_step=config.min_n_step, frame_stack=frame_stack,
    )  # fmt: skip
