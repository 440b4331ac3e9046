"""Toy environments: each asks for one ability that the probes do not, and is solved at a mean return of 1.

They are after the test environments of rl_games (``rl_games/envs/test``): recurrent memory, multi-discrete actions,
vectors of rewards, a critic that sees more, an auxiliary loss; and several agents with one policy. Without the ability
the return stays far below; the auxiliary loss is there to have something to predict.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces

from jaxrl.envs.environment import Environment, transition_step
from jaxrl.envs.wrappers import select_observation
from jaxrl.observations import ACTION_MASK, AUXILIARY, PRIVILEGED

_SIGN = spaces.Box(-1, 1, (1,), np.float32)


def recall(delay: int = 4, privileged: bool = False) -> Environment:
    """A sign is shown once; ``delay`` steps later an action must tell it: 1 if it does, else 0.

    Observations are the sign or 0, and whether to answer now. Without memory the mean return is 0.5.

    Args:
        delay: steps between the sign and the answer.
        privileged: whether the critic sees the sign all the time.
    """
    vector = spaces.Box(-1, 1, (2,), np.float32)
    space = spaces.Dict({PRIVILEGED: _SIGN, "seen": vector}) if privileged else vector

    def observe(sign, t):
        seen = jnp.stack([jnp.where(t == 0, sign, 0.0), jnp.asarray(t == delay, jnp.float32)])
        return {PRIVILEGED: sign[None], "seen": seen} if privileged else seen

    def reset(key):
        sign = jax.random.choice(key, jnp.array([-1.0, 1.0]))
        return (sign, jnp.int32(0)), observe(sign, 0)

    def step(state, action, key):
        sign, t = state
        answered = t == delay
        reward = answered & ((action == 1) == (sign > 0))
        return (sign, t + 1), transition_step(observe(sign, t + 1), reward, answered)

    return Environment("recall", space, spaces.Discrete(2), reset, step, max_episode_steps=delay + 1)


def combination(sizes: tuple[int, ...] = (2, 3, 4)) -> Environment:
    """A digit is shown for each part of a ``MultiDiscrete`` action: the reward is the fraction that is repeated."""
    bounds = jnp.array(sizes)

    def reset(key):
        digits = jax.random.randint(key, (len(sizes),), 0, bounds)
        return digits, digits

    def step(digits, action, key):
        return digits, transition_step(digits, jnp.mean(action == digits), True)

    space = spaces.MultiDiscrete(sizes)
    return Environment("combination", space, space, reset, step, max_episode_steps=1)


def forbidden(num_actions: int = 6) -> Environment:
    """Half of the actions, drawn anew each time, are allowed by a mask; the greatest of them is worth 1, the others 0.

    Only the mask tells which it is, and it is not among the features: with it the best order of the actions is learned,
    without it no order is best.
    """

    def observe(allowed):
        return {ACTION_MASK: allowed.astype(jnp.int8), "nothing": jnp.zeros((1,))}

    def reset(key):
        allowed = jax.random.permutation(key, num_actions) < num_actions // 2
        return allowed, observe(allowed)

    def step(allowed, action, key):
        best = jnp.max(jnp.where(allowed, jnp.arange(num_actions), -1))
        return allowed, transition_step(observe(allowed), action == best, True)

    space = spaces.Dict({ACTION_MASK: spaces.MultiBinary(num_actions), "nothing": _SIGN})
    return Environment("forbidden", space, spaces.Discrete(num_actions), reset, step, max_episode_steps=1)


def two_rewards() -> Environment:
    """A vector of two rewards, each half for telling one of two signs."""

    def reset(key):
        signs = jax.random.choice(key, jnp.array([-1.0, 1.0]), (2,))
        return signs, signs

    def step(signs, action, key):
        reward = 0.5 * ((action == 1) == (signs > 0))
        return signs, transition_step(signs, reward, True)

    observation, action = spaces.Box(-1, 1, (2,), np.float32), spaces.MultiDiscrete([2, 2])
    return Environment("two_rewards", observation, action, reset, step, max_episode_steps=1, reward_shape=(2,))


def mixture() -> Environment:
    """An image and a vector in, a dictionary out: the side of the image that is lit, and the vector's number."""
    image = spaces.Box(0, 255, (6, 6, 1), np.uint8)

    def observe(state):
        side, number = state
        lit = jnp.where((jnp.arange(6) >= 3) == (side == 1), 255, 0)
        return {"image": jnp.broadcast_to(lit[None, :, None], (6, 6, 1)).astype(jnp.uint8), "number": number[None]}

    def reset(key):
        side_key, number_key = jax.random.split(key)
        state = jax.random.randint(side_key, (), 0, 2), jax.random.uniform(number_key, (), minval=-0.8, maxval=0.8)
        return state, observe(state)

    def step(state, action, key):
        side, number = state
        error = jnp.minimum(jnp.abs(action["number"][0] - number), 1.0)
        reward = 0.5 * (action["side"] == side) + 0.5 * (1.0 - error)
        return state, transition_step(observe(state), reward, True)

    observation = spaces.Dict({"image": image, "number": _SIGN})
    action = spaces.Dict({"number": _SIGN, "side": spaces.Discrete(2)})
    return Environment("mixture", observation, action, reset, step, max_episode_steps=1)


def goal(max_distance: int = 2, max_steps: int = 12) -> Environment:
    """A place on a grid is to be reached, one step of four directions at a time: 1 if it is in time, else 0.

    Place and goal are seen. The distance is for an auxiliary loss.

    Args:
        max_distance: of a goal along each axis; none is nearer than 1.
        max_steps: steps after which the episode ends.
    """
    directions = jnp.array([[1, 0], [-1, 0], [0, 1], [0, -1]])

    def observe(place, target):
        distance = jnp.sum(jnp.abs(place - target)).astype(jnp.float32)
        return {AUXILIARY: distance[None], "goal": target.astype(jnp.float32), "place": place.astype(jnp.float32)}

    def reset(key):
        side_key, distance_key = jax.random.split(key)
        sides = jax.random.choice(side_key, jnp.array([-1, 1]), (2,))
        target = sides * jax.random.randint(distance_key, (2,), 1, max_distance + 1)
        place = jnp.zeros(2, jnp.int32)
        return (place, target, jnp.int32(0)), observe(place, target)

    def step(state, action, key):
        place, target, t = state
        place, t = place + directions[action], t + 1
        reached = jnp.all(place == target)
        return (place, target, t), transition_step(observe(place, target), reached, reached | (t == max_steps))

    plane = spaces.Box(-max_steps, max_steps, (2,), np.float32)
    distance = spaces.Box(0, np.inf, (1,), np.float32)
    space = spaces.Dict({AUXILIARY: distance, "goal": plane, "place": plane})
    return Environment("goal", space, spaces.Discrete(4), reset, step, max_episode_steps=max_steps)


def team(num_agents: int = 2, privileged: bool = False) -> Environment:
    """Each agent is shown a sign of its own and has to tell it: all are given the share of those who do.

    Args:
        num_agents: in an episode.
        privileged: whether the critic sees the signs of all, the agent's own first.
    """
    everyone = spaces.Box(-1, 1, (num_agents,), np.float32)
    space = spaces.Dict({PRIVILEGED: everyone, "own": _SIGN}) if privileged else _SIGN
    own_first = (jnp.arange(num_agents)[:, None] + jnp.arange(num_agents)) % num_agents

    def observe(signs):
        return {PRIVILEGED: signs[own_first], "own": signs[:, None]} if privileged else signs[:, None]

    def reset(key):
        signs = jax.random.choice(key, jnp.array([-1.0, 1.0]), (num_agents,))
        return signs, observe(signs)

    def step(signs, action, key):
        told = jnp.mean((action == 1) == (signs > 0))
        return signs, transition_step(observe(signs), jnp.broadcast_to(told, (num_agents,)), True)

    return Environment("team", space, spaces.Discrete(2), reset, step, max_episode_steps=1, num_agents=num_agents)


def cartpole_positions(**parameters: Any) -> Environment:
    """gymnax's CartPole without velocities: only the cart's place and the pole's angle are seen.

    Two observations in a row tell the velocities, so it is solved with memory, and not without.
    """
    from jaxrl.envs import gymnax_adapter

    return select_observation(gymnax_adapter.make("CartPole-v1", **parameters), (0, 2))


TOYS: dict[str, Callable[[], Environment]] = {
    "recall": recall,
    "combination": combination,
    "forbidden": forbidden,
    "two_rewards": two_rewards,
    "mixture": mixture,
    "goal": goal,
    "team": team,
}
"""Those that are solved at a mean return of 1, by name."""
