"""How actions are chosen while learning, as pure functions of keys and arrays."""

from jaxrl.exploration.continuous import gaussian_noise, ornstein_uhlenbeck, random_action, smoothing_noise
from jaxrl.exploration.discrete import boltzmann, epsilon_greedy, epsilon_ladder, greedy

__all__ = [
    "boltzmann", "epsilon_greedy", "epsilon_ladder", "gaussian_noise", "greedy", "ornstein_uhlenbeck", "random_action",
    "smoothing_noise",
]  # fmt: skip
