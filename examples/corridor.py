"""A custom environment: walk to the right end of a corridor."""

import jax
import jax.numpy as jnp
from gymnasium import spaces

from jaxrl.envs import Environment, time_limit, transition_step


def make_corridor(length: int = 10) -> Environment:
    """Reward 1 at the right end, where the episode terminates, and -0.01 for every step before it."""

    def observe(position):
        return jnp.array([position / length], jnp.float32)

    def reset(key):
        position = jax.random.randint(key, (), 0, length // 2)
        return position, observe(position)

    def step(position, action, key):
        position = jnp.clip(position + 2 * action - 1, 0, length)
        arrived = position == length
        return position, transition_step(observe(position), jnp.where(arrived, 1.0, -0.01), terminated=arrived)

    env = Environment("Corridor", spaces.Box(0, 1, (1,)), spaces.Discrete(2), reset, step)
    return time_limit(env, 5 * length)
