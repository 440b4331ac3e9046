"""How actions are chosen while learning, as pure functions of keys and arrays."""

from jaxrl.exploration.discrete import boltzmann, epsilon_greedy, epsilon_ladder, greedy

__all__ = ["boltzmann", "epsilon_greedy", "epsilon_ladder", "greedy"]
