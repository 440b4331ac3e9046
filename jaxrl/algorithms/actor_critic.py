"""What the actor-critics on a replay buffer share: the steps of critics, actor, temperature and targets.

A member is an actor (what it would do, and how it explores) and critics (what they learn, and what the actor climbs).
The number of critics, delayed actors, target networks, normalisation, several steps and priorities are switches of all.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct
from gymnasium import spaces

from jaxrl import normalization, observations
from jaxrl import spaces as jax_spaces
from jaxrl.algorithms import off_policy
from jaxrl.algorithms.every import every
from jaxrl.algorithms.learner import Learner, Variables, call, call_training, descend, init_learner
from jaxrl.losses.actor_critic import entropy_regularized_target, minimum_of_subset, temperature_loss
from jaxrl.losses.value import ERROR_LOSSES
from jaxrl.networks.activations import ACTIVATIONS
from jaxrl.networks.actor_critic import NORMALIZATIONS, Actor, Critic, Layers
from jaxrl.networks.ensemble import Ensemble
from jaxrl.networks.initializers import Initializer, symmetric_uniform
from jaxrl.networks.torsos import TORSOS, torso_input, torso_kind
from jaxrl.types import Algorithm, Array, Info, Key, PyTree, Sample, Spec, Transition
from jaxrl.validation import require, require_choice, require_positive, require_scalar_reward, require_widths

ACTOR_VALUES: dict[str, Callable[[Array], Array]] = {
    "first": lambda values: values[0],
    "minimum": partial(jnp.min, axis=0),
    "mean": partial(jnp.mean, axis=0),
}
"""What an actor climbs, of critics' values ``[N, B, ...]``."""


@dataclasses.dataclass(frozen=True)
class Config(off_policy.Config):
    """What changes the program's shape, in every member of the family."""

    buffer_size: int = 1_000_000
    """Transitions that the replay buffer holds."""
    batch_size: int = 256
    """Transitions of an update."""
    torso: str = "auto"
    """``mlp``, ``nature_cnn``, ``minatar_cnn`` or ``impala_resnet``; ``auto`` goes by the observation's shape. Actor
    and critics have one each."""
    hidden_sizes: tuple[int, ...] = (256, 256)
    """Widths of the dense layers, after the convolutions of a torso that has some."""
    critic_sizes: tuple[int, ...] | None = None
    """Widths of the critics' dense layers; by default ``hidden_sizes``."""
    activation: str = "relu"
    """Of the dense layers."""
    output_bound: float | None = None
    """Bound of the uniform initial weights of last layers; by default they begin like all others."""
    action_layers: tuple[int, ...] = (0,)
    """Layers of the critics, from 0 on, whose input the action is appended to."""
    actor_normalization: str = "none"
    """Of the actor's dense layers: ``none``; ``layer`` normalisation before activations; or ``batch`` renormalisation
    of each layer's input."""
    critic_normalization: str = "none"
    """The same of the critics' dense layers."""
    dropout: float = 0.0
    """Share of the outputs of the critics' dense layers that is set to zero while learning."""
    num_critics: int = 2
    """Critics, each with weights of its own; with 2 or more, targets take the smallest value (clipped double Q)."""
    subset_size: int | None = None
    """Critics, drawn at random for each update, of which a target takes the smallest value; by default all."""
    actor_value: str = "minimum"
    """What the actor climbs: the ``minimum`` of the critics, their ``mean``, or the ``first``."""
    target_network: bool = True
    """Whether targets come from slower copies; if not, one forward pass of the critics values both observations."""
    target_update_period: int = 1
    """Updates between two moves of the target networks by ``tau``."""
    policy_delay: int = 1
    """Updates of the critics for one of the actor (and of the temperature)."""
    loss: str = "mse"
    """``mse`` or ``huber``, of the temporal-difference error."""
    normalize_observation: bool = False
    """Whether to give each feature mean 0 and deviation 1, by running statistics of all observations."""
    normalize_reward: bool = False
    """Whether to divide rewards by the running deviation of their discounted sums."""
    adam_b1: float = 0.9
    """Decay of Adam's mean of gradients, of actor and critics."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "num_critics", "target_update_period", "policy_delay")
        require_widths(self, "hidden_sizes", "critic_sizes")
        require_choice(self, "torso", TORSOS)
        require_choice(self, "activation", ACTIVATIONS)
        require_choice(self, "actor_normalization", NORMALIZATIONS)
        require_choice(self, "critic_normalization", NORMALIZATIONS)
        require_choice(self, "actor_value", ACTOR_VALUES)
        require_choice(self, "loss", ERROR_LOSSES)
        require(0.0 <= self.dropout < 1.0, "dropout", self.dropout, "must be in [0, 1)")
        require(0.0 <= self.adam_b1 < 1.0, "adam_b1", self.adam_b1, "must be in [0, 1)")
        require(
            self.output_bound is None or self.output_bound > 0.0, "output_bound", self.output_bound, "must be positive"
        )
        require(
            self.subset_size is None or 1 <= self.subset_size <= self.num_critics,
            "subset_size", self.subset_size, f"must be in [1, num_critics={self.num_critics}]",
        )  # fmt: skip
        sizes = self.hidden_sizes if self.critic_sizes is None else self.critic_sizes
        require(
            len(self.action_layers) > 0 and all(0 <= i < len(sizes) for i in self.action_layers),
            "action_layers", self.action_layers, f"must name some of the critics' layers, 0 to {len(sizes) - 1}",
        )  # fmt: skip


@struct.dataclass
class Hyperparameters(off_policy.Hyperparameters):
    """What an experimenter tunes, in every member of the family: leaves, each a scalar or a ``Schedule``."""

    actor_learning_rate: Any = 3e-4
    """Adam's step size for the actor."""
    critic_learning_rate: Any = 3e-4
    """Adam's step size for the critics."""
    actor_max_grad_norm: Any = None
    """Bound of the global norm of the actor's gradient; none by default."""
    critic_max_grad_norm: Any = None
    """Bound of the global norm of the critics' gradient, all critics together; none by default."""
    critic_weight_decay: Any = None
    """Coefficient of the critics' parameters that is added to their gradient; none by default."""
    epsilon: Any = 0.0
    """Probability of a uniformly random action."""


@struct.dataclass
class EntropyHyperparameters(Hyperparameters):
    """The same of members whose policies are rewarded for their entropy."""

    temperature: Any = 1.0
    """alpha: weight of the entropy; what it begins with, where it is learnt."""
    temperature_learning_rate: Any = 3e-4
    """Adam's step size for the logarithm of the temperature."""
    min_temperature: Any = 0.0
    """What a learnt temperature does not fall below."""
    max_temperature: Any = None
    """Upper bound of a learnt temperature; none by default."""
    target_entropy: Any = -1.0
    """Entropy that a learnt temperature keeps up, in nats for each dimension of the (canonical) action."""


class State(NamedTuple):
    actor: Learner
    critic: Learner
    value: Any
    """The state-value network (a ``Learner``); ``()`` without one."""
    temperature: Any
    """The logarithm of a learnt temperature and its optimiser; ``()`` otherwise."""
    targets: dict[str, Variables]
    """Slower copies, by the name of the field that they are of."""
    observations: Any
    """Running statistics of observations; ``()`` if they are not normalised."""
    rewards: Any
    """``Rewards``; ``()`` if they are not normalised."""
    updates: Array
    """Updates so far, modulo the periods."""


class Rewards(NamedTuple):
    """What is known of rewards."""

    statistics: normalization.Statistics
    """Of their discounted sums."""
    sums: Array
    """``[num_envs]``, of the episodes under way."""


class Policy(NamedTuple):
    """What acting needs."""

    actor: Variables
    observations: Any


class Seen(NamedTuple):
    """What networks are given of observations."""

    actor: PyTree
    critic: PyTree
    allowed: Array | None
    """``[B, A]`` booleans, which of finitely many actions may be taken; None if all may."""

    @property
    def policy(self) -> tuple[PyTree, Array | None]:
        """What an actor is called with."""
        return self.actor, self.allowed


class Draw(NamedTuple):
    """What a policy would do, for a batch of observations."""

    action: Array | None
    """``[B, n]``, differentiable in the policy; None where critics value all actions at once."""
    log_prob: Array | float = 0.0
    """``[B]`` of the action, or its expectation."""
    probabilities: Array | None = None
    """``[B, A]`` of all actions, if there are finitely many."""

    def expectation(self, values: Array) -> Array:
        """Of values ``[B, A]`` the mean under the policy; values of the action itself are returned as they are."""
        return values if self.probabilities is None else jnp.sum(self.probabilities * values, axis=-1)


@dataclasses.dataclass(frozen=True, eq=False)
class ActorKind:
    """How a member acts. ``output`` is what the actor's head returns."""

    head: Callable[[Initializer], nn.Module]
    """Makes the head, with this initialiser of its last layer."""
    draw: Callable[[Any, Key | None, Any], Draw]
    """``draw(output, key, hp)``: what the policy would do; of finitely many actions, without key and ``hp``."""
    target_draw: Callable[[Any, Key, Any], Draw]
    """The same for the next observation in a target."""
    explore: Callable[[Any, PyTree, Key, Any], tuple[Array, PyTree]]
    """``explore(output, carry, key, hp) -> action, carry``."""
    mode: Callable[[Any], Array]
    """``mode(output)``: the action of an evaluation."""
    initial_carry: Callable[[int], PyTree] = lambda batch_size: ()
    """What exploration carries from step to step, at the beginning of an episode."""
    target: bool = False
    """Whether targets ask a slower copy of the actor."""


@dataclasses.dataclass(frozen=True, eq=False)
class CriticKind:
    """What a member's critics learn. ``values`` are ``[N, B]`` or ``[N, B, outputs]``."""

    outputs: int | None
    """Numbers for each observation (and action); None for one, without an axis."""
    target_value: Callable[[Key, Array], Array]
    """``target_value(key, next_values)``: ``[B]`` or ``[B, K]`` to bootstrap from."""
    loss: Callable[[Array, Array], tuple[Array, Array]]
    """``loss(values, target) -> per-sample loss [B], error [B]``; the error's absolute value is the priority."""
    actor_value: Callable[[Array], Array]
    """``actor_value(values)``: ``[B]`` or ``[B, A]``, what the actor climbs."""


def scalar_critics(config: Config, outputs: int | None = None) -> CriticKind:
    """Critics of expected returns, whose smallest value is the target (clipped double Q-learning)."""

    def loss(values: Array, target: Array) -> tuple[Array, Array]:
        error = values - target
        return jnp.sum(ERROR_LOSSES[config.loss](error), axis=0), jnp.mean(jnp.abs(error), axis=0)

    size = config.num_critics if config.subset_size is None else config.subset_size
    return CriticKind(
        outputs, lambda key, values: minimum_of_subset(key, values, size), loss, ACTOR_VALUES[config.actor_value]
    )


def action_size(name: str, spec: Spec) -> int:
    """The dimension of the actions of a bounded ``Box``.

    Raises:
        ValueError: if the action space is another one.
    """
    space = spec.action_space
    if not isinstance(space, spaces.Box) or len(space.shape) != 1:
        raise ValueError(
            f"{name} needs a one-dimensional Box action space, got {space} of {spec.name}; "
            "sac_discrete and dqn take a Discrete one"
        )
    if not (np.isfinite(space.low) & np.isfinite(space.high)).all():
        raise ValueError(f"{name} needs bounded actions, got {space} of {spec.name}; ppo takes unbounded ones")
    return space.shape[0]


def make_actor_critic(
    name: str,
    spec: Spec,
    config: Config,
    hyperparameters: Hyperparameters,
    actor: ActorKind,
    critics: CriticKind,
    *,
    entropy_unit: Callable[[Array | None], Array | float] | None = None,
    learn_temperature: bool = False,
    state_value: Callable[[Array], Array] | None = None,
) -> Algorithm[State]:
    """Build a member of the family.

    Args:
        name: its name.
        spec: the environment's spaces.
        config: static configuration.
        hyperparameters: defaults.
        actor: see ``ActorKind``.
        critics: see ``CriticKind``; they value all actions at once if the action space is ``Discrete``.
        entropy_unit: ``entropy_unit(allowed [B, A])``, a scalar or ``[B]``: factor of ``hp.target_entropy`` in states
            that allow these actions (None: all); None if entropy is not rewarded.
        learn_temperature: whether to adjust the weight of the entropy.
        state_value: with it, targets come from a network of state values, which has a target network of its own;
            ``state_value(values)`` makes of the critics' ``[N, B]`` what that network learns, ``[B]``.

    Raises:
        ValueError: if the torso does not suit the observations, they cannot be normalised, or rewards are vectors.
    """
    require_scalar_reward(name, spec)
    whole, zeros = spec.observation_space, jax_spaces.zeros(spec.observation_space, (1,))
    sides = observations.sides(whole, spec.action_space)
    actor_kind, critic_kind = (torso_kind(side.space, config.torso) for side in (sides.actor, sides.critic))
    require(
        not config.normalize_observation or bool(jax.tree.leaves(observations.normalizable(whole, zeros))),
        "normalize_observation", config.normalize_observation,
        "is for features, not for images, whose bytes are divided by 255",
    )  # fmt: skip
    finite = isinstance(spec.action_space, spaces.Discrete)
    init_last = (
        nn.initializers.lecun_normal() if config.output_bound is None else symmetric_uniform(config.output_bound)
    )
    critic_sizes = config.hidden_sizes if config.critic_sizes is None else config.critic_sizes
    actor_module = Actor(
        actor_kind,
        lambda: Layers(config.hidden_sizes, config.activation, config.actor_normalization),
        lambda: actor.head(init_last),
    )
    layers = lambda: Layers(
        critic_sizes, config.activation, config.critic_normalization, config.dropout, config.action_layers
    )
    ensemble = lambda size: Ensemble(lambda: Critic(critic_kind, layers, critics.outputs, init_last), size)
    critic_module, value_module = ensemble(config.num_critics), Critic(critic_kind, layers, None, init_last)
    # What the first critic alone is asked for, it alone computes.
    asked = 1 if config.actor_value == "first" else config.num_critics
    optimizer = optax.scale_by_adam(b1=config.adam_b1, eps=config.adam_epsilon)
    temperature_optimizer = optax.scale_by_adam(eps=config.adam_epsilon)
    followed = ["critic"] if config.target_network and not state_value else []
    followed += (["actor"] if actor.target else []) + (["value"] if state_value else [])
    period = math.lcm(config.policy_delay, config.target_update_period)

    def see(statistics: Any, observation: PyTree) -> Seen:
        allowed = sides.allowed(observation)
        if config.normalize_observation:
            observation = observations.normalized(whole, observation, statistics)
        actor_input = torso_input(sides.actor.space, sides.actor.sees(observation), actor_kind)
        critic_input = torso_input(sides.critic.space, sides.critic.sees(observation), critic_kind)
        return Seen(actor_input, critic_input, allowed)

    def init(key: Key, hp: Hyperparameters) -> State:
        statistics = ()
        if config.normalize_observation:
            statistics = normalization.init(jax.tree.map(lambda x: x[0], observations.normalizable(whole, zeros)))
        x = see(statistics, zeros)
        action = None if finite else jnp.zeros((1, *spec.action_space.shape))
        keys = iter(jax.random.split(key, 3))
        learner = lambda module, *inputs: init_learner(module, optimizer, next(keys), *inputs)
        learners = {"actor": learner(actor_module, *x.policy), "critic": learner(critic_module, x.critic, action)}
        if state_value:
            learners["value"] = learner(value_module, x.critic)
        temperature = ()
        if learn_temperature:
            log_temperature = jnp.log(jnp.asarray(hp.temperature, jnp.float32))
            temperature = Learner(Variables(log_temperature, {}), temperature_optimizer.init(log_temperature))
        return State(
            actor=learners["actor"],
            critic=learners["critic"],
            value=learners.get("value", ()),
            temperature=temperature,
            # Copies, so that all can be donated.
            targets={part: jax.tree.map(jnp.copy, learners[part].variables) for part in followed},
            observations=statistics,
            rewards=(
                Rewards(normalization.init(0.0), jnp.zeros((config.num_envs,))) if config.normalize_reward else ()
            ),
            updates=jnp.zeros((), jnp.int32),
        )

    def act(policy, observation, carry, key, hp, explore=True):
        output = call(actor_module, policy.actor, *see(policy.observations, observation).policy)
        if not explore:
            return actor.mode(output), carry, {}
        action, carry = actor.explore(output, carry, key, hp)
        return action, carry, {}

    def temperature_of(state: State, hp: Hyperparameters) -> Array | float:
        if learn_temperature:
            return jnp.exp(state.temperature.variables.params)
        return 0.0 if entropy_unit is None else hp.temperature

    def of_action(values: Array, action: Array) -> Array:
        """``[N, B, A]`` to ``[N, B]``, if critics value all actions."""
        if not finite:
            return values
        index = jnp.broadcast_to(action.astype(jnp.int32)[None, :, None], (*values.shape[:2], 1))
        return jnp.take_along_axis(values, index, axis=-1)[..., 0]

    def step_critic(state: State, batch: Sample, x: Seen, next_x: Seen, key: Key, hp: Hyperparameters):
        t = batch.transitions
        action_key, subset_key, *dropout_keys = jax.random.split(key, 4)
        action = None if finite else t.action
        draw = Draw(None)
        if not state_value:
            acting = state.targets["actor"] if actor.target else state.actor.variables
            draw = actor.target_draw(call(actor_module, acting, *next_x.policy), action_key, hp)

        def objective(variables):
            if config.target_network or state_value:
                values, stats = call_training(critic_module, variables, x.critic, action, key=dropout_keys[0])
            else:
                pairs = (x.critic, action), (next_x.critic, draw.action)
                together = jax.tree.map(lambda *halves: jnp.concatenate(halves), *pairs)
                both, stats = call_training(critic_module, variables, *together, key=dropout_keys[0])
                values, next_values = jnp.split(both, 2, axis=1)
            if state_value:
                bootstrap = call(value_module, state.targets["value"], next_x.critic)
            else:
                if config.target_network:
                    given = next_x.critic, draw.action
                    next_values = call(critic_module, state.targets["critic"], *given, key=dropout_keys[1])
                bootstrap = draw.expectation(critics.target_value(subset_key, next_values))
            target = entropy_regularized_target(
                t.reward, t.terminated, bootstrap, hp.discount**batch.steps, draw.log_prob, temperature_of(state, hp)
            )
            values = of_action(values, t.action)
            per_sample, error = critics.loss(values, jax.lax.stop_gradient(target))
            return jnp.mean(batch.weights * per_sample), (stats, (jnp.mean(values), error))

        learner, loss, norm, (q_value, error) = descend(
            optimizer, state.critic, objective, learning_rate=hp.critic_learning_rate,
            max_grad_norm=hp.critic_max_grad_norm, weight_decay=hp.critic_weight_decay,
        )  # fmt: skip
        metrics = {"loss": loss, "q_value": q_value, "grad_norm": norm}
        return state._replace(critic=learner), metrics, jnp.abs(error)

    def critic_values(state: State, x: Seen, draw: Draw, key: Key | None, size: int) -> Array:
        """Values of a policy's actions by the first ``size`` critics, ``[size, B, ...]``."""
        variables = jax.tree.map(lambda leaf: leaf[:size], state.critic.variables)
        return call(ensemble(size), variables, x.critic, draw.action, key=key)

    def climbed(state: State, x: Seen, draw: Draw, key: Key | None) -> Array:
        """Objective of the actor, ``[B]``, without its entropy."""
        return draw.expectation(critics.actor_value(critic_values(state, x, draw, key, asked)))

    def step_value(state: State, x: Seen, key: Key, hp: Hyperparameters) -> State:
        action_key, dropout_key = jax.random.split(key)
        draw = actor.draw(call(actor_module, state.actor.variables, *x.policy), action_key, hp)
        values = state_value(critic_values(state, x, draw, dropout_key, config.num_critics))
        target = draw.expectation(values) - temperature_of(state, hp) * draw.log_prob

        def objective(variables):
            value, stats = call_training(value_module, variables, x.critic)
            return jnp.mean(0.5 * (value - jax.lax.stop_gradient(target)) ** 2), (stats, ())

        rates = {"learning_rate": hp.critic_learning_rate, "max_grad_norm": hp.critic_max_grad_norm}
        return state._replace(value=descend(optimizer, state.value, objective, **rates).learner)

    def step_actor(state: State, x: Seen, key: Key, hp: Hyperparameters) -> tuple[State, dict[str, Array]]:
        action_key, dropout_key = jax.random.split(key)
        temperature = temperature_of(state, hp)

        def objective(variables):
            output, stats = call_training(actor_module, variables, *x.policy)
            draw = actor.draw(output, action_key, hp)
            loss = jnp.mean(temperature * draw.log_prob - climbed(state, x, draw, dropout_key))
            return loss, (stats, draw.log_prob)

        learner, loss, norm, log_prob = descend(
            optimizer, state.actor, objective,
            learning_rate=hp.actor_learning_rate, max_grad_norm=hp.actor_max_grad_norm,
        )  # fmt: skip
        state = state._replace(actor=learner)
        metrics = {"actor_loss": loss, "actor_grad_norm": norm}
        if entropy_unit is not None:
            metrics |= {"entropy": -jnp.mean(log_prob)}
        if learn_temperature:
            target_entropy = hp.target_entropy * entropy_unit(x.allowed)
            state = state._replace(temperature=step_temperature(state.temperature, log_prob, target_entropy, hp))
        return state, metrics

    def step_temperature(learner: Learner, log_prob: Array, target_entropy: Any, hp: Hyperparameters) -> Learner:
        def objective(variables):
            loss = temperature_loss(variables.params, jax.lax.stop_gradient(log_prob), target_entropy)
            return jnp.mean(loss), ({}, ())

        rate = hp.temperature_learning_rate
        learner = descend(temperature_optimizer, learner, objective, learning_rate=rate).learner
        log_of = lambda bound: jnp.log(jnp.asarray(bound, jnp.float32))
        bounded = jnp.maximum(learner.variables.params, log_of(hp.min_temperature))
        if hp.max_temperature is not None:
            bounded = jnp.minimum(bounded, log_of(hp.max_temperature))
        return learner._replace(variables=Variables(bounded, {}))

    def update(state: State, batch: Sample, key: Key, hp: Hyperparameters) -> tuple[State, Info]:
        t = batch.transitions
        if config.normalize_reward:
            # Not clipped: with several steps it is a sum.
            deviation = jnp.sqrt(state.rewards.statistics.variance + normalization.EPSILON)
            batch = batch._replace(transitions=t._replace(reward=t.reward / deviation))
        x, next_x = see(state.observations, t.observation), see(state.observations, t.next_observation)
        critic_key, value_key, actor_key = jax.random.split(key, 3)
        state, metrics, priorities = step_critic(state, batch, x, next_x, critic_key, hp)
        if state_value:
            state = step_value(state, x, value_key, hp)

        updates = (state.updates + 1) % period
        state, actor_metrics = every(
            config.policy_delay, updates, lambda state, inputs: step_actor(state, *inputs), state, (x, actor_key, hp)
        )
        tau = jnp.where(updates % config.target_update_period == 0, hp.tau, 0.0)
        follow = lambda new, old: old + tau * (new - old)
        targets = {
            part: jax.tree.map(follow, getattr(state, part).variables, target) for part, target in state.targets.items()
        }
        if entropy_unit is not None:
            metrics |= {"temperature": jnp.asarray(temperature_of(state, hp), jnp.float32)}
        state = state._replace(targets=targets, updates=updates)
        return state, Info(metrics | actor_metrics, priorities)

    def observe(state: State, transitions: Transition, valid: Array | None, hp: Hyperparameters) -> State:
        if config.normalize_observation:
            seen = observations.normalizable(whole, transitions.observation)
            state = state._replace(observations=normalization.update(state.observations, seen, valid))
        if config.normalize_reward:
            ended = transitions.terminated | transitions.truncated
            ended = ended if valid is None else ended | ~valid
            sums, seen = normalization.discounted_sums(
                state.rewards.sums, transitions.reward[None], ended[None], hp.discount
            )
            statistics = normalization.update(state.rewards.statistics, seen[0], valid)
            state = state._replace(rewards=Rewards(statistics, sums))
        return state

    def interrupt(state: State) -> State:
        return state._replace(rewards=state.rewards._replace(sums=jnp.zeros_like(state.rewards.sums)))

    def value(state: State, observation: PyTree) -> Array:
        x = see(state.observations, observation)
        output = call(actor_module, state.actor.variables, *x.policy)
        # Over finitely many actions a draw is an expectation, without randomness.
        draw = actor.draw(output, None, None) if finite else Draw(actor.mode(output))
        return climbed(state, x, draw, None)

    return Algorithm(
        name=name,
        spec=spec,
        config=config,
        hyperparameters=hyperparameters,
        feed=off_policy.make_feed(spec, config),
        init=init,
        policy=lambda state: Policy(state.actor.variables, state.observations),
        act=act,
        update=update,
        value=value,
        initial_carry=actor.initial_carry,
        observe=observe if config.normalize_observation or config.normalize_reward else None,
        interrupt=interrupt if config.normalize_reward else None,
    )
