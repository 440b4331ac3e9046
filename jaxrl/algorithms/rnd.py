"""Random network distillation: PPO with a second reward, for observations that a network cannot yet predict.

What is to be predicted are the outputs of a network with random weights, which stay as they are. The predictor learns
them at the observations that the agent comes by; its error is large where the agent has hardly been. That error is the
intrinsic reward, with a value and a discount of its own.

Source: Burda et al. 2018, "Exploration by random network distillation" (arXiv 1810.12894), algorithm 1.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct
from gymnasium import spaces
from jax.flatten_util import ravel_pytree

from jaxrl import normalization, observations
from jaxrl import spaces as jax_spaces
from jaxrl.algorithms import advantages, minibatches, policy_value, ppo
from jaxrl.algorithms.advantages import Streams
from jaxrl.algorithms.policy_value import Networks
from jaxrl.algorithms.ppo import AuxiliaryLoss
from jaxrl.losses.policy_gradient import masked_mean
from jaxrl.networks.initializers import orthogonal
from jaxrl.networks.torsos import Torso, conv_settings, torso_input, torso_kind
from jaxrl.normalization import Statistics
from jaxrl.types import Algorithm, Array, Info, Key, PyTree, Rollout, Spec
from jaxrl.validation import require, require_positive, require_scalar_reward, require_widths

OBSERVATION_CLIP = 5.0
"""Bound of what both networks see, in deviations (section 2.4)."""


@dataclasses.dataclass(frozen=True)
class Config(ppo.Config):
    """What changes the program's shape."""

    target_sizes: tuple[int, ...] = (64,)
    """Widths of the random network's dense layers before its last, of ReLU, after the convolutions of the ``torso``."""
    predictor_sizes: tuple[int, ...] = (64, 64)
    """Those of the network that predicts its outputs."""
    embedding_size: int = 64
    """Numbers that are predicted."""
    intrinsic_episodic: bool = False
    """Whether intrinsic returns end with an episode; else what is new in the next one counts too."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_widths(self, "target_sizes", "predictor_sizes")
        require_positive(self, "embedding_size")
        require(
            self.value_head == "scalar", "value_head", self.value_head, "must be 'scalar': each of two rewards has one"
        )


@struct.dataclass
class Hyperparameters(ppo.Hyperparameters):
    """What an experimenter tunes: leaves, each a scalar or a ``Schedule``."""

    extrinsic_coefficient: Any = 2.0
    """Weight of the advantages of the environment's reward."""
    intrinsic_coefficient: Any = 1.0
    """Weight of the advantages of the intrinsic reward."""
    intrinsic_discount: Any = 0.99
    """gamma of the intrinsic reward; ``discount`` is the environment's."""
    predictor_learning_rate: Any = 1e-4
    """The predictor's step size."""
    predictor_share: Any = 1.0
    """Share of the steps, drawn anew in each epoch, that the predictor learns from."""


class State(NamedTuple):
    ppo: ppo.State
    target: PyTree
    """Parameters of the random network; they never change."""
    predictor: PyTree
    opt_state: optax.OptState
    """Of the predictor's parameters as one vector."""
    observation: Statistics
    """Of true successors, each element by itself."""
    returns: Statistics
    """Of discounted sums of intrinsic rewards."""
    sums: Array
    """``[B]`` those sums up to now."""


class Lesson(NamedTuple):
    """What the predictor learns from, ``[N, ...]``."""

    observation: PyTree
    """As it is; it is whitened where it is looked at, which of images takes less memory."""
    embedding: Array
    """What the random network makes of it."""
    chosen: Array
    """Whether it is among the share that is learned from."""


def two_rewards(spec: Spec) -> Spec:
    """The same with two rewards, the environment's and the intrinsic: what PPO is made for, and its networks."""
    return dataclasses.replace(spec, reward_shape=(2,))


def make(
    spec: Spec,
    config: Config = Config(),
    networks: Networks | None = None,
    auxiliary: AuxiliaryLoss | None = None,
) -> Algorithm[State]:
    """Build random network distillation for an environment.

    Args:
        spec: the environment's spaces, as for PPO, with a scalar reward. Both networks see what the actor does, and of
            a stack of frames the newest.
        config: static configuration.
        networks: of actor and critic, made for ``two_rewards(spec)``; by default those of
            ``policy_value.make_networks``.
        auxiliary: a loss of one's own, as for PPO.

    Raises:
        ValueError: for a vector of rewards, networks made for another number of rewards than two, and as PPO.
    """
    require_scalar_reward("rnd", spec)
    networks = policy_value.make_networks(two_rewards(spec), config) if networks is None else networks
    require(
        networks.spec.reward_shape == (2,), "networks.spec.reward_shape", networks.spec.reward_shape,
        "must be (2,): make them for rnd.two_rewards(spec)",
    )  # fmt: skip
    agent = ppo.make(two_rewards(spec), config, networks, auxiliary, lambda hp: streams_of(config, hp))
    optimizer, axis_name = policy_value.make_optimizer(config), config.axis_name
    seen = _seen(spec)
    kind = torso_kind(seen.space, config.torso, config.convolutions)
    target, predictor = (_network(config, kind, sizes) for sizes in (config.target_sizes, config.predictor_sizes))

    def whitened(statistics: Statistics, observation: PyTree) -> PyTree:
        """What the networks are given of ``[..., *]`` observations of the space that they see."""
        clipped = observations.normalized(seen.space, observation, statistics, True, OBSERVATION_CLIP)
        return torso_input(seen.space, clipped, kind)

    def init(key: Key, hp: Hyperparameters) -> State:
        ppo_key, target_key, predictor_key = jax.random.split(key, 3)
        statistics = normalization.init(observations.normalizable(seen.space, jax_spaces.zeros(seen.space), True))
        example = whitened(statistics, jax_spaces.zeros(seen.space, (1,)))
        params = predictor.init(predictor_key, example)
        return State(
            ppo=agent.init(ppo_key, hp),
            target=target.init(target_key, example),
            predictor=params,
            opt_state=optimizer.init(ravel_pytree(params)[0]),
            observation=statistics,
            returns=normalization.init(jnp.zeros(())),
            sums=jnp.zeros(config.num_envs),
        )

    def fit(
        state: State, statistics: Statistics, lesson: Lesson, key: Key, hp: Hyperparameters
    ) -> tuple[PyTree, optax.OptState, Array]:
        """The predictor and its optimiser after passes over a rollout, and the mean loss."""
        # In steps, of which a recurrent policy's microbatches have sequences.
        size = config.microbatch_size and config.microbatch_size * (config.rollout_size // config.num_items)

        def loss(params: PyTree, lesson: Lesson) -> tuple[Array, dict[str, Array]]:
            predicted = predictor.apply(params, whitened(statistics, lesson.observation))
            value = masked_mean(squared_distance(predicted, lesson.embedding), lesson.chosen, axis_name)
            return value, {"predictor_loss": value}

        def epoch(carry: tuple, key: Key) -> tuple[tuple, Array]:
            share_key, order_key = jax.random.split(key)
            drawn = jax.random.uniform(share_key, lesson.chosen.shape) < hp.predictor_share
            descent = minibatches.descend(
                loss, optimizer, *carry, lesson._replace(chosen=lesson.chosen & drawn), order_key,
                minibatches.Passes(1, config.num_minibatches, size), learning_rate=hp.predictor_learning_rate,
                max_grad_norm=None, axis_name=axis_name, valid=lambda lesson: lesson.chosen,
            )  # fmt: skip
            return (descent.params, descent.opt_state), descent.metrics["predictor_loss"]

        start, keys = (state.predictor, state.opt_state), jax.random.split(key, config.num_epochs)
        (params, opt_state), losses = jax.lax.scan(epoch, start, keys)
        return params, opt_state, jnp.mean(losses)

    def update(state: State, batch: Rollout, key: Key, hp: Hyperparameters) -> tuple[State, Info]:
        ppo_key, predictor_key = jax.random.split(key)
        t, valid = batch.transitions, batch.valid
        successor = seen.sees(t.next_observation)
        # The first rollout is whitened by itself, as the paper's is by steps of a random agent.
        whole = observations.normalizable(seen.space, successor, True)
        statistics = normalization.update(state.observation, whole, valid, axis_name)
        x = whitened(statistics, successor)
        embedding = target.apply(state.target, x)
        error = squared_distance(predictor.apply(state.predictor, x), embedding)
        real = jnp.ones(error.shape, bool) if valid is None else valid.astype(bool)
        error = jnp.where(real, error, 0.0)
        anew = advantages.ended(batch) if config.intrinsic_episodic else jnp.zeros(error.shape, bool)
        last, sums = normalization.discounted_sums(state.sums, error, anew, hp.intrinsic_discount)
        returns = normalization.update(state.returns, sums, valid, axis_name)
        intrinsic = error / jnp.sqrt(returns.variance + normalization.EPSILON)
        reward = jnp.stack([t.reward, intrinsic], axis=-1)
        ppo_state, info = agent.update(state.ppo, batch._replace(transitions=t._replace(reward=reward)), ppo_key, hp)
        lesson = minibatches.items(Lesson(successor, embedding, real))
        params, opt_state, loss = fit(state, statistics, lesson, predictor_key, hp)
        mean = masked_mean(error, valid, axis_name)
        mean = mean if axis_name is None else jax.lax.pmean(mean, axis_name)
        metrics = {**info.metrics, "intrinsic_reward": mean, "predictor_loss": loss}
        return State(ppo_state, state.target, params, opt_state, statistics, returns, last), Info(metrics)

    def interrupt(state: State) -> State:
        return state._replace(ppo=policy_value.interrupt(state.ppo), sums=jnp.zeros_like(state.sums))

    return dataclasses.replace(
        agent,
        name="rnd",
        spec=spec,
        hyperparameters=Hyperparameters(),
        init=init,
        policy=lambda state: agent.policy(state.ppo),
        update=update,
        value=lambda state, x: networks.values(state.ppo.params, state.ppo.normalizers, x)[..., 0],
        interrupt=interrupt,
    )


def streams_of(config: Config, hp: Hyperparameters) -> Streams:
    """How the two rewards differ (section 2.3)."""
    vector = lambda *values: jnp.stack([jnp.asarray(x, jnp.float32) for x in values])
    return Streams(
        discount=vector(hp.discount, hp.intrinsic_discount),
        weight=vector(hp.extrinsic_coefficient, hp.intrinsic_coefficient),
        episodic=(True, config.intrinsic_episodic),
    )


def squared_distance(x: Array, y: Array) -> Array:
    """``|x - y|^2`` over the last axis."""
    return jnp.sum((x - y) ** 2, axis=-1)


def _seen(spec: Spec) -> observations.Side:
    """What the actor is shown, and of a stack of frames the newest."""
    side = observations.sides(spec.observation_space, spec.action_space).actor
    if not spec.frame_stack:
        return side
    channels = side.space.shape[-1] // spec.frame_stack
    newest = lambda x: x[..., -channels:]
    space = spaces.Box(newest(side.space.low), newest(side.space.high), dtype=side.space.dtype)
    return observations.Side(space, lambda observation: newest(side.sees(observation)))


def _network(config: Config, kind: str, sizes: tuple[int, ...]) -> nn.Module:
    kernel_init = orthogonal(np.sqrt(2.0))
    torso = Torso(kind, sizes, "relu", kernel_init, convolutions=conv_settings(config))
    return nn.Sequential([torso, nn.Dense(config.embedding_size, kernel_init=kernel_init)])
