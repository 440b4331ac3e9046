"""Asynchronous advantage actor-critic: workers whose gradients are of parameters that have moved on since.

``make`` is a deterministic simulation. Each worker has a copy of the parameters, collects a rollout with it and
computes a gradient at it; the gradients are applied one after another, in an order drawn from the key, and each worker
then takes the parameters as they are after its own. So it learns from gradients that are up to twice as many steps old
as there are workers, like the original, and yet a run depends on its seed alone, and can be vmapped.
``jaxrl.training.train_in_threads`` runs the same functions, as ``Algorithm.workers``, in threads, in whatever
order they come.

Source: Mnih et al. 2016, "Asynchronous methods for deep reinforcement learning" (arXiv 1602.01783), algorithm S3.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jax.flatten_util import ravel_pytree

from jaxrl.algorithms import advantages, policy_value
from jaxrl.algorithms.policy_value import Networks, Normalizers, Policy
from jaxrl.optimizers import apply_gradients
from jaxrl.random import permutation
from jaxrl.types import Algorithm, Array, Info, Key, OnPolicy, PyTree, Rollout, Spec, Workers
from jaxrl.validation import require, require_positive


@dataclasses.dataclass(frozen=True)
class Config(policy_value.Config):
    """What changes the program's shape."""

    num_workers: int = 8
    """Copies of the parameters; must divide ``num_envs``, which are theirs in equal parts."""
    num_envs: int = 8
    """Environments stepped side by side, by all workers together."""
    rollout_length: int = 20
    """Steps of each environment between two updates."""
    optimizer: str = "rmsprop"
    """``adam``, ``rmsprop``, or ``rmsprop_torch`` with ``adam_epsilon`` beside the root; the workers share its
    statistics."""
    normalize_advantage: bool = False
    """Whether to give each worker's advantages mean 0 and deviation 1."""
    separate_optimizers: bool = False
    """Whether the critic has an optimiser, a learning rate and a bound of its gradient of its own."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "num_workers")
        policy_value.require_separable(self)
        require(
            self.num_envs % self.num_workers == 0, "num_workers", self.num_workers,
            f"must divide num_envs={self.num_envs}",
        )  # fmt: skip
        for name in ("normalize_reward", "normalize_value"):
            require(
                not getattr(self, name), name, True,
                "a3c keeps no statistics of rewards or values; scale the reward instead",
            )  # fmt: skip
        require(self.axis_name is None, "axis_name", self.axis_name, "must be none: workers are what is parallel")


@struct.dataclass
class Hyperparameters:
    """What an experimenter tunes: leaves, each a scalar or a ``Schedule``."""

    learning_rate: Any = 7e-4
    """The optimiser's step size."""
    discount: Any = 0.99
    """gamma"""
    gae_lambda: Any = 1.0
    """lambda: how much of an advantage comes from later steps; all of it at 1."""
    entropy_coefficient: Any = 0.01
    """Weight of the policy's entropy, which is rewarded."""
    value_coefficient: Any = 0.5
    """Weight of the value's loss, unless the critic has an optimiser of its own."""
    max_grad_norm: Any = 40.0
    """Bound of each gradient's global norm."""
    critic_learning_rate: Any = 7e-4
    """Step size of a critic with an optimiser of its own."""
    critic_max_grad_norm: Any = 40.0
    """Bound of its gradients' norm."""


class State(NamedTuple):
    params: PyTree
    """Of the learner."""
    workers: PyTree
    """``[num_workers, ...]`` copies, each as old as its worker's last gradient."""
    opt_state: optax.OptState
    normalizers: Normalizers


class Acting(NamedTuple):
    """What acting needs: the learner's policy, and to explore with the workers' parameters."""

    learner: Policy
    workers: PyTree
    """None in an evaluation."""


def make(spec: Spec, config: Config = Config(), networks: Networks | None = None) -> Algorithm[State]:
    """Build the simulated A3C for an environment.

    Whole batches of ``num_envs`` explore with the workers' copies, environment by environment in their order;
    everything else acts with the learner's parameters.

    Args:
        spec: the environment's spaces, as for PPO.
        config: static configuration.
        networks: by default those of ``policy_value.make_networks``.

    Raises:
        ValueError: for an action space that the policies do not cover, or a torso that does not suit observations.
    """
    networks = policy_value.make_networks(spec, config) if networks is None else networks
    optimizer = policy_value.make_optimizer(config)
    act_alone, workers = policy_value.make_act(networks), config.num_workers

    def init(key: Key, hp: Hyperparameters) -> State:
        del hp
        params = networks.init(key)
        copies = jax.tree.map(lambda x: jnp.broadcast_to(x, (workers, *x.shape)), params)
        return State(params, copies, optimizer.init(ravel_pytree(params)[0]), networks.init_normalizers())

    def policy(state: State) -> Acting:
        statistics = state.normalizers.observation
        return Acting(Policy(networks.acting(state.params), statistics), networks.acting(state.workers))

    def act(policy, observation, carry, key, hp, explore=True):
        alone = policy.workers is None or jax.tree.leaves(observation)[0].shape[0] != config.num_envs
        if alone or not explore:
            return act_alone(policy.learner, observation, carry, key, hp, explore)

        def one(params, observation, carry, key):
            return act_alone(Policy(params, policy.learner.observation), observation, carry, key, hp)

        args = policy.workers, _deal(observation, workers), _deal(carry, workers), jax.random.split(key, workers)
        return jax.tree.map(lambda x: x.reshape(config.num_envs, *x.shape[2:]), jax.vmap(one)(*args))

    def gradient(params: PyTree, normalizers: Normalizers, batch: Rollout, hp: Hyperparameters) -> tuple[Array, dict]:
        """The gradient at the parameters that collected a rollout, as one vector, and metrics."""
        estimates, _ = advantages.estimate(networks, params, normalizers, batch, hp)
        if config.normalize_advantage:
            estimates, _ = advantages.over_the_rollout(config, normalizers, estimates, batch)
        data = advantages.batch_of(networks, batch, estimates)
        steps = advantages.steps_of(networks, data)

        def loss(params):
            own = Policy(params, normalizers.observation)
            distribution, _, value, _ = networks.apply(own, steps.observation, data.carry, steps.begins)
            return advantages.policy_gradient_loss(
                -steps.advantage * distribution.log_prob(steps.action),
                advantages.value_loss(networks, value, steps), distribution.entropy(), steps.valid, hp,
                separate_optimizers=config.separate_optimizers,
            )  # fmt: skip

        gradients, metrics = jax.grad(loss, has_aux=True)(params)
        return ravel_pytree(gradients)[0], metrics

    def apply(state: State, gradients: Array, hp: Hyperparameters) -> State:
        vector, unravel = ravel_pytree(state.params)
        rates = policy_value.descent_rates(config, state.params, hp)
        step = apply_gradients(optimizer, vector, state.opt_state, gradients, **rates)
        params = unravel(step.params)
        copies = jax.tree.map(lambda x: jnp.broadcast_to(x, (workers, *x.shape)), params)
        return State(params, copies, step.opt_state, state.normalizers)

    def update(state: State, batch: Rollout, key: Key, hp: Hyperparameters) -> tuple[State, Info]:
        shares = _deal(batch._replace(carry=()), workers, axis=1)
        gradients, metrics = jax.vmap(lambda params, share: gradient(params, state.normalizers, share, hp))(
            state.workers, shares
        )
        vector, unravel = ravel_pytree(state.params)
        order, rates = permutation(key, workers), policy_value.descent_rates(config, state.params, hp)

        def apply_one(carry, worker):
            step = apply_gradients(optimizer, *carry, gradients[worker], **rates)
            return (step.params, step.opt_state), (step.params, step.grad_norm)

        (vector, opt_state), (after, norms) = jax.lax.scan(apply_one, (vector, state.opt_state), order)
        copies = jax.vmap(unravel)(jnp.zeros_like(after).at[order].set(after))
        normalizers = advantages.observe(networks, state.normalizers, batch)
        metrics = jax.tree.map(jnp.mean, {**metrics, "grad_norm": norms})
        return State(unravel(vector), copies, opt_state, normalizers), Info(metrics)

    return Algorithm(
        name="a3c",
        spec=spec,
        config=config,
        hyperparameters=Hyperparameters(),
        feed=OnPolicy(config.num_envs, config.rollout_length),
        init=init,
        policy=policy,
        evaluation_policy=lambda state: policy(state)._replace(workers=None),
        act=act,
        update=update,
        value=lambda state, observation: networks.value(state.params, state.normalizers, observation),
        initial_carry=networks.initial_carry,
        reset_carry=config.rnn_reset,
        # In threads nothing keeps statistics of observations.
        workers=None
        if config.normalize_observation
        else Workers(workers, lambda state, batch, hp: gradient(state.params, state.normalizers, batch, hp), apply),
    )


def _deal(tree: PyTree, workers: int, axis: int = 0) -> PyTree:
    """Give each worker its share of the environments, which are along an axis: ``[workers, ...]`` leaves."""

    def share(x):
        x = x.reshape(*x.shape[:axis], workers, x.shape[axis] // workers, *x.shape[axis + 1 :])
        return jnp.moveaxis(x, axis, 0)

    return jax.tree.map(share, tree)
