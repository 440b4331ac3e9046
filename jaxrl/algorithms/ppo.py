"""Proximal policy optimisation with a clipped objective.

Source: Schulman et al. 2017, "Proximal policy optimization algorithms" (arXiv 1707.06347). The defaults
and details are those of Huang et al. 2022, "The 37 implementation details of PPO" (CleanRL's ``ppo.py``).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax import struct
from jax.flatten_util import ravel_pytree

from jaxrl import spaces as jax_spaces
from jaxrl.algorithms import minibatches
from jaxrl.losses.policy_gradient import approximate_kl, clipped_surrogate, masked_mean, normalize
from jaxrl.losses.returns import generalized_advantage_estimation
from jaxrl.losses.value import clipped_value_loss
from jaxrl.networks.heads import ValueHead
from jaxrl.networks.policies import policy_head
from jaxrl.networks.torsos import MLP, Torso, torso_input, torso_kind
from jaxrl.types import Algorithm, Array, Info, Key, OnPolicy, PyTree, Rollout, Spec


@dataclasses.dataclass(frozen=True)
class Config(minibatches.Config):
    """What changes the program's shape; actor and critic have networks of the same sizes."""

    shared_torso: bool = False
    """Whether actor and critic share all layers but their last, as is usual for images."""
    normalize_advantage: bool = True
    """Whether to give each minibatch's advantages mean 0 and deviation 1."""
    clip_value_loss: bool = True
    """Whether the value too stays within ``clip`` of its old prediction."""
    adam_epsilon: float = 1e-5
    """Added to Adam's denominator."""


@struct.dataclass
class Hyperparameters:
    """What an experimenter tunes: leaves, each a scalar or a ``Schedule``."""

    learning_rate: Any = 2.5e-4
    """Adam's step size."""
    discount: Any = 0.99
    """gamma"""
    gae_lambda: Any = 0.95
    """lambda: how much of an advantage comes from later steps."""
    clip: Any = 0.2
    """How far the probability ratio may move before its gradient stops."""
    entropy_coefficient: Any = 0.01
    """Weight of the policy's entropy, which is rewarded."""
    value_coefficient: Any = 0.5
    """Weight of the value's loss."""
    max_grad_norm: Any = 0.5
    """Bound of the gradient's global norm."""


class State(NamedTuple):
    params: PyTree
    opt_state: optax.OptState
    """Of the parameters as one vector: many small steps are made of fewer, larger operations."""


class Minibatch(NamedTuple):
    """What one gradient step sees, ``[N, ...]``."""

    observation: PyTree
    action: PyTree
    log_prob: Array
    advantage: Array
    value: Array
    target: Array
    valid: Array | None


class _Actor(nn.Module):
    torso: Callable[[], Callable[[Array], Array]]
    head: Callable[[], nn.Module]

    @nn.compact
    def __call__(self, x: Array) -> Any:
        return self.head()(self.torso()(x))


class _Critic(nn.Module):
    torso: Callable[[], Callable[[Array], Array]]

    @nn.compact
    def __call__(self, x: Array) -> Array:
        return ValueHead(nn.initializers.orthogonal(1.0))(self.torso()(x))


def _torso(config: Config, kind: str) -> nn.Module:
    settings = config.hidden_sizes, config.activation, nn.initializers.orthogonal(2**0.5)
    return MLP(*settings) if kind == "mlp" else Torso(kind, *settings)


def make(spec: Spec, config: Config = Config()) -> Algorithm[State]:
    """Build PPO for an environment.

    Args:
        spec: the environment's spaces. Actions: ``Discrete``, or a one-dimensional ``Box``, which are
            sampled from a Gaussian and clipped to ``[-1, 1]`` by the training loops.
        config: static configuration.

    Raises:
        ValueError: for an action space that PPO's policies do not cover, or a torso that does not suit observations.
    """
    kind = torso_kind(spec.observation_space, config.torso)
    policy_head(spec.action_space)  # refuse an unsupported space now
    torso = lambda: _torso(config, kind)
    shared, own = (torso(), lambda: lambda x: x) if config.shared_torso else (None, torso)
    actor, critic = _Actor(own, lambda: policy_head(spec.action_space)), _Critic(own)
    optimizer = optax.scale_by_adam(eps=config.adam_epsilon)

    def features(params: PyTree, observation: PyTree) -> Array:
        x = torso_input(spec.observation_space, observation, kind)
        return x if shared is None else shared.apply(params["torso"], x)

    def init(key: Key, hp: Hyperparameters) -> State:
        del hp
        actor_key, critic_key = jax.random.split(key)
        observation = jax_spaces.zeros(spec.observation_space, (1,))
        params = {}
        if shared is not None:
            x = torso_input(spec.observation_space, observation, kind)
            params["torso"] = shared.init(jax.random.fold_in(key, 2), x)
        x = features(params, observation)
        params |= {"actor": actor.init(actor_key, x), "critic": critic.init(critic_key, x)}
        return State(params, optimizer.init(ravel_pytree(params)[0]))

    def state_value(params: PyTree, observation: PyTree) -> Array:
        return critic.apply(params["critic"], features(params, observation))

    def act(policy, observation, carry, key, hp, explore=True):
        del hp
        distribution = actor.apply(policy["actor"], features(policy, observation))
        if not explore:
            return distribution.mode(), carry, {}
        action = distribution.sample(seed=key)
        return action, carry, {"log_prob": distribution.log_prob(action)}

    def loss(params: PyTree, batch: Minibatch, hp: Hyperparameters) -> tuple[Array, dict[str, Array]]:
        x = features(params, batch.observation)
        distribution = actor.apply(params["actor"], x)
        value = critic.apply(params["critic"], x)
        mean = lambda values: masked_mean(values, batch.valid)

        log_ratio = distribution.log_prob(batch.action) - batch.log_prob
        ratio = jnp.exp(log_ratio)
        advantage = normalize(batch.advantage, batch.valid) if config.normalize_advantage else batch.advantage
        policy_loss = mean(clipped_surrogate(ratio, advantage, hp.clip))
        if config.clip_value_loss:
            value_loss = mean(clipped_value_loss(value, batch.value, batch.target, hp.clip))
        else:
            value_loss = mean(0.5 * (value - batch.target) ** 2)
        entropy = mean(distribution.entropy())
        total = policy_loss + hp.value_coefficient * value_loss - hp.entropy_coefficient * entropy
        return total, {
            "loss": total,
            "policy_loss": policy_loss,
            "value_loss": value_loss,
            "entropy": entropy,
            "approximate_kl": mean(approximate_kl(log_ratio)),
            "clip_fraction": mean((jnp.abs(ratio - 1.0) > hp.clip).astype(jnp.float32)),
        }

    def update(state: State, batch: Rollout, key: Key, hp: Hyperparameters) -> tuple[State, Info]:
        transitions, valid = batch.transitions, batch.valid
        values = state_value(state.params, transitions.observation)
        next_values = state_value(state.params, transitions.next_observation)
        advantage = generalized_advantage_estimation(
            transitions.reward, values, next_values, transitions.terminated,
            transitions.truncated, hp.discount, hp.gae_lambda,
        )  # fmt: skip
        data = Minibatch(
            transitions.observation, transitions.action, batch.extras["log_prob"],
            advantage, values, advantage + values, valid,
        )  # fmt: skip
        objective = lambda params, minibatch: loss(params, minibatch, hp)
        params, opt_state, metrics = minibatches.descend(
            objective, optimizer, state.params, state.opt_state, data, key, config, hp
        )
        return State(params, opt_state), Info(metrics)

    return Algorithm(
        name="ppo",
        spec=spec,
        config=config,
        hyperparameters=Hyperparameters(),
        feed=OnPolicy(config.num_envs, config.rollout_length),
        init=init,
        policy=lambda state: {name: params for name, params in state.params.items() if name != "critic"},
        act=act,
        update=update,
        value=lambda state, observation: state_value(state.params, observation),
    )
