"""Deep Q-learning, with double Q-learning and the dueling network as switches.

Source: Mnih et al. 2015, "Human-level control through deep reinforcement learning"; van Hasselt et al.
2016 (arXiv 1509.06461) for double Q-learning; Wang et al. 2016 (arXiv 1511.06581) for dueling.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax import struct
from gymnasium import spaces

from jaxrl import spaces as jax_spaces
from jaxrl.buffers.replay import uniform_replay
from jaxrl.losses.value import huber, q_learning_target, select
from jaxrl.networks.heads import QHead
from jaxrl.networks.torsos import ACTIVATIONS, MLP
from jaxrl.optimizers import apply_gradients
from jaxrl.schedules import linear
from jaxrl.types import Algorithm, Array, Info, Key, OffPolicy, PyTree, Sample, Spec, Transition
from jaxrl.validation import require, require_choice, require_positive


@dataclasses.dataclass(frozen=True)
class Config:
    """What changes the program's shape."""

    num_envs: int = 1
    """Environments stepped side by side."""
    hidden_sizes: tuple[int, ...] = (64, 64)
    activation: str = "relu"
    double_q: bool = True
    """Whether the online network chooses the action that the target network values."""
    dueling: bool = False
    """Whether the network has separate streams for value and advantage."""
    loss: str = "huber"
    """``huber`` or ``mse``, of the temporal-difference error."""
    target_update: str = "hard"
    """``hard``: copy every ``target_update_period`` updates; ``polyak``: move by ``tau`` at each."""
    target_update_period: int = 100
    """Updates between two copies."""
    buffer_size: int = 100_000
    batch_size: int = 64
    prefill: int = 1_000
    """Transitions collected by a random policy before the first update."""
    steps_per_update: int = 1
    """Steps of each environment between two rounds of updates."""
    updates_per_iteration: int = 1
    """Updates in each round."""
    adam_epsilon: float = 1e-8

    def __post_init__(self) -> None:
        require_positive(
            self, "num_envs", "target_update_period", "buffer_size", "batch_size",
            "prefill", "steps_per_update", "updates_per_iteration",
        )  # fmt: skip
        require_choice(self, "activation", ACTIVATIONS)
        require_choice(self, "loss", ("huber", "mse"))
        require_choice(self, "target_update", ("hard", "polyak"))
        require(
            self.prefill <= self.buffer_size, "prefill", self.prefill, f"must fit in buffer_size={self.buffer_size}"
        )


@struct.dataclass
class Hyperparameters:
    """What an experimenter tunes: leaves, each a scalar or a ``Schedule``."""

    learning_rate: Any = 1e-3
    discount: Any = 0.99
    """gamma"""
    epsilon: Any = dataclasses.field(default_factory=lambda: linear(1.0, 0.05, fraction=0.1))
    """Probability of a uniformly random action."""
    tau: Any = 0.005
    """How far a polyak target moves towards the online network at each update."""
    max_grad_norm: Any = 10.0
    """Bound of the gradient's global norm."""


class State(NamedTuple):
    params: PyTree
    target_params: PyTree
    opt_state: optax.OptState
    updates: Array
    """Updates since the last hard copy."""


class QNetwork(nn.Module):
    """Features ``[B, n]`` to action values ``[B, A]``."""

    num_actions: int
    config: Config

    @nn.compact
    def __call__(self, features: Array) -> Array:
        x = MLP(self.config.hidden_sizes, self.config.activation)(features)
        return QHead(self.num_actions, self.config.dueling)(x)


def make(spec: Spec, config: Config = Config()) -> Algorithm[State]:
    """Build DQN for an environment with a ``Discrete`` action space.

    Raises:
        ValueError: for another action space.
    """
    space = spec.action_space
    if not isinstance(space, spaces.Discrete):
        raise ValueError(f"dqn needs a Discrete action space, got {space} of {spec.name}; ppo takes a Box too")
    num_actions = int(space.n)
    network = QNetwork(num_actions, config)
    optimizer = optax.scale_by_adam(eps=config.adam_epsilon)
    features = lambda observation: jax_spaces.flatten(spec.observation_space, observation)
    error_loss = huber if config.loss == "huber" else lambda error: 0.5 * error**2

    def init(key: Key, hp: Hyperparameters) -> State:
        del hp
        params = network.init(key, features(jax_spaces.zeros(spec.observation_space, (1,))))
        # A copy, so that both can be donated.
        return State(params, jax.tree.map(jnp.copy, params), optimizer.init(params), jnp.zeros((), jnp.int32))

    def act(policy, observation, carry, key, hp, explore=True):
        greedy = jnp.argmax(network.apply(policy, features(observation)), axis=-1)
        if not explore:
            return greedy, carry, {}
        choice_key, action_key = jax.random.split(key)
        random = jax.random.randint(action_key, greedy.shape, 0, num_actions)
        action = jnp.where(jax.random.uniform(choice_key, greedy.shape) < hp.epsilon, random, greedy)
        return action, carry, {}

    def loss(params, target_params, batch: Sample, hp: Hyperparameters):
        transitions = batch.transitions
        q = network.apply(params, features(transitions.observation))
        next_observation = features(transitions.next_observation)
        target = q_learning_target(
            transitions.reward,
            transitions.terminated,
            network.apply(target_params, next_observation),
            hp.discount,
            next_q_selector=network.apply(params, next_observation) if config.double_q else None,
        )
        chosen = select(q, transitions.action)
        error = chosen - jax.lax.stop_gradient(target)
        value = jnp.mean(batch.weights * error_loss(error))
        return value, ({"loss": value, "q_value": jnp.mean(chosen)}, jnp.abs(error))

    def update(state: State, batch: Sample, key: Key, hp: Hyperparameters) -> tuple[State, Info]:
        del key
        gradients, (metrics, priorities) = jax.grad(loss, has_aux=True)(
            state.params, state.target_params, batch, hp
        )
        params, opt_state, grad_norm = apply_gradients(
            optimizer, state.params, state.opt_state, gradients,
            learning_rate=hp.learning_rate, max_grad_norm=hp.max_grad_norm,
        )  # fmt: skip
        updates = state.updates + 1
        if config.target_update == "hard":
            due = updates >= config.target_update_period
            target_params = jax.tree.map(lambda new, old: jnp.where(due, new, old), params, state.target_params)
            updates = jnp.where(due, 0, updates)
        else:
            target_params = optax.incremental_update(params, state.target_params, hp.tau)
        return State(params, target_params, opt_state, updates), Info({**metrics, "grad_norm": grad_norm}, priorities)

    example = Transition(
        observation=jax_spaces.zeros(spec.observation_space),
        action=jnp.zeros((), jnp.int32),
        reward=jnp.zeros(()),
        terminated=jnp.zeros((), bool),
        truncated=jnp.zeros((), bool),
        next_observation=jax_spaces.zeros(spec.observation_space),
    )
    return Algorithm(
        name="dqn",
        spec=spec,
        config=config,
        hyperparameters=Hyperparameters(),
        feed=OffPolicy(
            num_envs=config.num_envs,
            batch_size=config.batch_size,
            prefill=config.prefill,
            buffer=uniform_replay(example, config.buffer_size, config.num_envs),
            steps_per_update=config.steps_per_update,
            updates_per_iteration=config.updates_per_iteration,
        ),
        init=init,
        policy=lambda state: state.params,
        act=act,
        update=update,
        value=lambda state, observation: jnp.max(network.apply(state.params, features(observation)), axis=-1),
    )
