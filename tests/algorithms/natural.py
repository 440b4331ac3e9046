"""By hand: what VPG, NPG and TRPO learn from, and the Fisher matrix of a policy that is a table."""

from __future__ import annotations

from typing import Any

import by_hand
import jax
import numpy as np
from by_hand import DISCOUNT, SGD, SPEC, B, T, mean

LAMBDA = 0.8


def make(module: Any, **config: Any) -> tuple[Any, Any]:
    """A member with tables, one value iteration and plain gradient descent; and its hyper-parameters."""
    sizes = {"num_envs": B, "rollout_length": T, "hidden_sizes": (), "value_iterations": 1, "adam_epsilon": SGD}
    agent = module.make(SPEC, module.Config(**sizes, **config))
    hp = agent.hyperparameters.replace(discount=DISCOUNT, gae_lambda=LAMBDA, critic_learning_rate=SGD)
    return agent, hp


def problem(params: Any) -> tuple[Any, dict[str, np.ndarray]]:
    """A rollout of the policy itself, and the gradient of surrogate and value loss by hand.

    The value's targets are the rewards to come, through truncations and past the end by the critic's value.
    """
    log_probs, values = by_hand.policy_tables(params)
    batch = by_hand.rollout(log_prob=by_hand.chosen(log_probs, by_hand.rollout()))
    advantage = by_hand.advantages(batch, values, LAMBDA)
    centred = advantage - mean(advantage, batch)
    normalised = centred / np.sqrt(mean(centred**2, batch))
    # With lambda = 1, advantage plus value is the Monte Carlo return.
    error = -by_hand.advantages(batch, values, 1.0)
    return batch, by_hand.gradient(log_probs, batch, -normalised, error)


def natural_step(params: Any, batch: Any, gradient: np.ndarray, max_kl: float, damping: float) -> np.ndarray:
    """``[S + 1, A]`` the step of kernel and bias, by the dense Fisher matrix."""
    log_probs, _ = by_hand.policy_tables(params)
    states = by_hand.states_of(batch)[0][batch.valid]
    fisher = np.zeros((7, 3, 7, 3))
    for s in states:
        p, x = np.exp(log_probs[s]), np.append(np.eye(6)[s], 1.0)
        fisher += np.einsum("i,j,ab->iajb", x, x, np.diag(p) - np.outer(p, p)) / len(states)
    matrix = fisher.reshape(21, 21) + damping * np.eye(21)
    flat = np.concatenate([gradient, gradient.sum(0, keepdims=True)]).ravel()
    direction = np.linalg.solve(matrix, flat)
    return (np.sqrt(2 * max_kl / (direction @ matrix @ direction)) * direction).reshape(7, 3)


def init(agent: Any, hp: Any, seed: int = 3) -> Any:
    """A state whose tables are not near zero."""
    state = by_hand.quick(lambda key: agent.init(key, hp))(jax.random.key(0))
    rng = np.random.default_rng(seed)
    return state._replace(params=jax.tree.map(lambda x: rng.normal(size=x.shape).astype(np.float32), state.params))
