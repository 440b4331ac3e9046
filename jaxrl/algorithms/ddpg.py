"""Deep deterministic policy gradient, with clipped double Q, target smoothing and a delayed actor as switches.

Source: Lillicrap et al. 2016, "Continuous control with deep reinforcement learning" (arXiv 1509.02971); the defaults
are near those of "our DDPG" in Fujimoto et al. 2018 (arXiv 1802.09477).
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jaxrl.algorithms import actor_critic
from jaxrl.algorithms.actor_critic import ActorKind, Draw, State, action_size, make_actor_critic, scalar_critics
from jaxrl.exploration.continuous import gaussian_noise, ornstein_uhlenbeck, random_action, smoothing_noise
from jaxrl.networks.policies import DeterministicHead
from jaxrl.types import Algorithm, Spec
from jaxrl.validation import require_choice

EXPLORATION = ("gaussian", "ornstein_uhlenbeck", "none")


@dataclasses.dataclass(frozen=True)
class Config(actor_critic.Config):
    """What changes the program's shape."""

    num_critics: int = 1
    """Critics, each with weights of its own; with 2 or more, targets take the smallest value (clipped double Q)."""
    actor_value: str = "first"
    """What the actor climbs: the ``first`` of the critics, their ``minimum``, or their ``mean``."""
    target_smoothing: bool = False
    """Whether the target policy's action gets noise, so that similar actions have similar values."""
    exploration: str = "gaussian"
    """Noise on actions: ``gaussian``; ``ornstein_uhlenbeck``, which is correlated in time and begins at zero with each
    episode; or ``none``."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice(self, "exploration", EXPLORATION)


@struct.dataclass
class Hyperparameters(actor_critic.Hyperparameters):
    """What an experimenter tunes: leaves, each a scalar or a ``Schedule``."""

    actor_learning_rate: Any = 1e-3
    """Adam's step size for the actor."""
    critic_learning_rate: Any = 1e-3
    """Adam's step size for the critics."""
    noise_scale: Any = 0.1
    """Standard deviation of the noise of a step, where 1 is half of an action's range."""
    noise_theta: Any = 0.15
    """How much of Ornstein-Uhlenbeck noise is lost in a step."""
    smoothing_scale: Any = 0.2
    """Standard deviation of the noise of target smoothing."""
    smoothing_clip: Any = 0.5
    """The largest noise of target smoothing."""


def make(spec: Spec, config: Config = Config()) -> Algorithm[State]:
    """Build DDPG for an environment with a bounded, one-dimensional ``Box`` of actions.

    Raises:
        ValueError: for another action space.
    """
    return make_named("ddpg", spec, config, Hyperparameters())


def make_named(name: str, spec: Spec, config: Config, hyperparameters: Hyperparameters) -> Algorithm[State]:
    """Build it under another name, with other defaults."""
    size = action_size(name, spec)

    def explore(action, noise, key, hp):
        noise_key, random_key = jax.random.split(key)
        if config.exploration == "gaussian":
            action = gaussian_noise(noise_key, action, hp.noise_scale)
        elif config.exploration == "ornstein_uhlenbeck":
            noise = ornstein_uhlenbeck(noise_key, noise, hp.noise_theta, hp.noise_scale)
            action = jnp.clip(action + noise, -1.0, 1.0)
        return random_action(random_key, action, hp.epsilon), noise

    def target_draw(action, key, hp):
        if config.target_smoothing:
            action = smoothing_noise(key, action, hp.smoothing_scale, hp.smoothing_clip)
        return Draw(action)

    correlated = config.exploration == "ornstein_uhlenbeck"
    actor = ActorKind(
        head=lambda kernel_init: DeterministicHead(size, kernel_init),
        draw=lambda action, key, hp: Draw(action),
        target_draw=target_draw,
        explore=explore,
        mode=lambda action: action,
        initial_carry=lambda batch_size: jnp.zeros((batch_size, size)) if correlated else (),
        target=config.target_network,
    )
    return make_actor_critic(name, spec, config, hyperparameters, actor, scalar_critics(config))
