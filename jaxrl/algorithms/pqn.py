"""PQN: Q-learning without a replay buffer or a target network, made stable by layer normalisation.

Many environments are stepped side by side; Q(lambda) targets of their rollout are regressed upon for some epochs.

Source: Gallici et al. 2024, "Simplifying deep temporal difference learning" (arXiv 2407.04811), algorithm 1.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
import optax
from flax import struct
from jax.flatten_util import ravel_pytree

from jaxrl.algorithms import minibatches
from jaxrl.algorithms.q_learning import make_torso, setting
from jaxrl.exploration.discrete import epsilon_greedy, greedy
from jaxrl.losses.policy_gradient import masked_mean
from jaxrl.losses.returns import lambda_returns
from jaxrl.losses.value import select
from jaxrl.networks.heads import QHead
from jaxrl.schedules import linear
from jaxrl.types import Algorithm, Array, Info, Key, OnPolicy, PyTree, Rollout, Spec


@dataclasses.dataclass(frozen=True)
class Config(minibatches.Config):
    """What changes the program's shape."""

    num_envs: int = 32
    """Environments stepped side by side."""
    rollout_length: int = 64
    """Steps of each environment between two updates."""
    num_minibatches: int = 16
    """Parts that each pass is split into; must divide ``num_envs * rollout_length``."""
    hidden_sizes: tuple[int, ...] = (256, 256)
    """Widths of the dense layers, after the convolutions of a torso that has some."""
    activation: str = "relu"
    """Of the dense layers, and of ``convolutions``."""
    kernel_init: str = "default"
    """How the torso's weights begin: ``kaiming_normal`` by ``default``; the others are those of PPO."""
    layer_norm: bool = True
    """Whether to normalise before each activation; the algorithm rests on it."""


@struct.dataclass
class Hyperparameters:
    """What an experimenter tunes: leaves, each a scalar or a ``Schedule``."""

    learning_rate: Any = 1e-4
    """Step size of rectified Adam."""
    discount: Any = 0.99
    """gamma"""
    q_lambda: Any = 0.95
    """lambda: how much of the target comes from later steps."""
    epsilon: Any = dataclasses.field(default_factory=lambda: linear(1.0, 0.05, fraction=0.2))
    """Probability of a uniformly random action."""
    max_grad_norm: Any = 10.0
    """Bound of the gradient's global norm."""


class State(NamedTuple):
    params: PyTree
    opt_state: optax.OptState
    """Of the parameters as one vector."""


class _Network(nn.Module):
    num_actions: int
    config: Config
    kind: str

    @nn.compact
    def __call__(self, x: Array) -> Array:
        x = make_torso(self.kind, self.config, nn.initializers.he_normal())(x)
        return QHead(self.num_actions)(x)


def make(spec: Spec, config: Config = Config()) -> Algorithm[State]:
    """Build PQN for an environment with a ``Discrete`` action space.

    Raises:
        ValueError: for another action space.
    """
    s = setting("pqn", spec, config)
    network = _Network(s.num_actions, config, s.kind)
    optimizer = optax.scale_by_radam()
    q_values = lambda params, observation: network.apply(params, s.inputs(observation))
    masked = lambda params, observation: s.masked(q_values(params, observation), observation)

    def init(key: Key, hp: Hyperparameters) -> State:
        del hp
        params = network.init(key, s.example)
        return State(params, optimizer.init(ravel_pytree(params)[0]))

    def act(policy, observation, carry, key, hp, explore=True):
        q = masked(policy, observation)
        return (epsilon_greedy(key, q, hp.epsilon, s.allowed(observation)) if explore else greedy(q)), carry, {}

    def update(state: State, batch: Rollout, key: Key, hp: Hyperparameters) -> tuple[State, Info]:
        t = batch.transitions
        # The true successors, also where an episode was cut off.
        next_value = jnp.max(masked(state.params, t.next_observation), axis=-1)
        target = lambda_returns(t.reward, next_value, t.terminated, t.truncated, hp.discount, hp.q_lambda)

        def loss(params, minibatch):
            observation, action, target, valid = minibatch
            chosen = select(q_values(params, observation), action)
            value = masked_mean(0.5 * (chosen - target) ** 2, valid)
            return value, {"loss": value, "q_value": masked_mean(chosen, valid)}

        data = minibatches.items((t.observation, t.action, target, batch.valid))
        params, opt_state, metrics, _ = minibatches.descend(
            loss, optimizer, state.params, state.opt_state, data, key, config.passes,
            learning_rate=hp.learning_rate, max_grad_norm=hp.max_grad_norm, valid=lambda minibatch: minibatch[-1],
        )  # fmt: skip
        return State(params, opt_state), Info(metrics)

    return Algorithm(
        name="pqn",
        spec=spec,
        config=config,
        hyperparameters=Hyperparameters(),
        feed=OnPolicy(config.num_envs, config.rollout_length),
        init=init,
        policy=lambda state: state.params,
        act=act,
        update=update,
        value=lambda state, observation: jnp.max(masked(state.params, observation), axis=-1),
    )
