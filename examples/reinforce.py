"""REINFORCE with a baseline: a whole algorithm, composed of jaxrl's parts.

Source: Williams 1992, "Simple statistical gradient-following algorithms for connectionist reinforcement
learning"; Sutton & Barto 2018, section 13.4.
"""

import dataclasses
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import optax
from flax import struct

from jaxrl import spaces
from jaxrl.losses import generalized_advantage_estimation, masked_mean, normalize
from jaxrl.networks import MLP, ValueHead, policy_head
from jaxrl.optimizers import apply_gradients
from jaxrl.types import Algorithm, Info, OnPolicy, PyTree, Rollout, Spec
from jaxrl.validation import require_positive


@dataclasses.dataclass(frozen=True)
class Config:
    """What changes the program's shape."""

    num_envs: int = 8
    rollout_length: int = 128
    hidden_sizes: tuple[int, ...] = (64, 64)

    def __post_init__(self) -> None:
        require_positive(self, "num_envs", "rollout_length")


@struct.dataclass
class Hyperparameters:
    """What an experimenter tunes: each a scalar or a ``Schedule``."""

    learning_rate: Any = 3e-3
    discount: Any = 0.99
    value_coefficient: Any = 0.5
    entropy_coefficient: Any = 0.01
    max_grad_norm: Any = 0.5


class State(NamedTuple):
    params: PyTree
    opt_state: optax.OptState


def make(spec: Spec, config: Config = Config()) -> Algorithm[State]:
    """Build REINFORCE for an environment with ``Discrete`` or one-dimensional ``Box`` actions."""
    actor = nn.Sequential([MLP(config.hidden_sizes), policy_head(spec.action_space)])
    critic = nn.Sequential([MLP(config.hidden_sizes), ValueHead()])
    optimizer = optax.scale_by_adam()  # a direction only: the learning rate is a leaf of hp
    features = lambda observation: spaces.flatten(spec.observation_space, observation)

    def init(key, hp):
        actor_key, critic_key = jax.random.split(key)
        x = features(spaces.zeros(spec.observation_space, (1,)))
        params = {"actor": actor.init(actor_key, x), "critic": critic.init(critic_key, x)}
        return State(params, optimizer.init(params))

    def act(policy, observation, carry, key, hp, explore=True):
        distribution = actor.apply(policy, features(observation))
        action = distribution.sample(seed=key) if explore else distribution.mode()
        return action, carry, {}

    def loss(params, batch: Rollout, hp):
        steps, x = batch.transitions, features(batch.transitions.observation)
        value = critic.apply(params["critic"], x)
        # With lambda = 1 this is the return to the end of the episode (or of the rollout) minus the baseline.
        advantage = generalized_advantage_estimation(
            steps.reward, value, critic.apply(params["critic"], features(steps.next_observation)),
            steps.terminated, steps.truncated, hp.discount, gae_lambda=1.0,
        )  # fmt: skip
        target = jax.lax.stop_gradient(advantage + value)
        advantage = normalize(jax.lax.stop_gradient(advantage), batch.valid)
        distribution = actor.apply(params["actor"], x)
        mean = lambda values: masked_mean(values, batch.valid)
        policy_loss = -mean(distribution.log_prob(steps.action) * advantage)
        value_loss = mean(0.5 * (value - target) ** 2)
        entropy = mean(distribution.entropy())
        total = policy_loss + hp.value_coefficient * value_loss - hp.entropy_coefficient * entropy
        return total, {"loss": total, "policy_loss": policy_loss, "value_loss": value_loss, "entropy": entropy}

    def update(state, batch: Rollout, key, hp):
        gradients, metrics = jax.grad(loss, has_aux=True)(state.params, batch, hp)
        params, opt_state, grad_norm = apply_gradients(
            optimizer, state.params, state.opt_state, gradients,
            learning_rate=hp.learning_rate, max_grad_norm=hp.max_grad_norm,
        )  # fmt: skip
        return State(params, opt_state), Info({**metrics, "grad_norm": grad_norm})

    return Algorithm(
        name="reinforce",
        spec=spec,
        config=config,
        hyperparameters=Hyperparameters(),
        feed=OnPolicy(config.num_envs, config.rollout_length),
        init=init,
        policy=lambda state: state.params["actor"],
        act=act,
        update=update,
        value=lambda state, observation: critic.apply(state.params["critic"], features(observation)),
    )
