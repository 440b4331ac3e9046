"""What the value-based family shares: one update for many losses, and acting by exploring with action values.

A member is a network, ``q_values`` (what it believes) and a ``loss`` (how it learns). Double Q-learning,
dueling streams, noisy layers, several steps and priorities are switches of all of them.
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
from gymnasium import spaces

from jaxrl import observations
from jaxrl import spaces as jax_spaces
from jaxrl.algorithms import off_policy
from jaxrl.exploration.discrete import boltzmann, epsilon_greedy, epsilon_ladder, greedy
from jaxrl.networks.activations import ACTIVATIONS
from jaxrl.networks.heads import QHead
from jaxrl.networks.images import ConvLayer
from jaxrl.networks.initializers import Initializer, initializer
from jaxrl.networks.noisy import NOISE, Noise
from jaxrl.networks.torsos import Torso, conv_settings, require_torso, torso_input, torso_kind
from jaxrl.optimizers import apply_gradients
from jaxrl.schedules import linear
from jaxrl.types import Algorithm, Array, Info, Key, PyTree, Sample, Spec
from jaxrl.validation import require_choice, require_positive, require_scalar_reward, require_widths

EXPLORATION = ("auto", "greedy", "epsilon_greedy", "epsilon_ladder", "boltzmann")


@dataclasses.dataclass(frozen=True)
class Config(off_policy.Config):
    """What changes the program's shape, in every member of the family."""

    torso: str = "auto"
    """``mlp``, ``nature_cnn``, ``minatar_cnn``, ``impala_resnet``, or with ``convolutions`` of your own
    ``conv``, or ``conv1d`` for observations ``[W, C]``; ``auto`` goes by the observation's shape."""
    convolutions: tuple[ConvLayer, ...] = ()
    """Features, kernel size, stride and, if there is some, padding of each layer of the torsos ``conv`` and
    ``conv1d``."""
    coordinates: bool = False
    """Whether ``convolutions`` also see each pixel's coordinates, in ``[-1, 1]``."""
    pooling: str = "flatten"
    """What becomes of the last of ``convolutions``: ``flatten``, or ``spatial_softargmax``, where in the image each of
    its features is."""
    hidden_sizes: tuple[int, ...] = (64, 64)
    """Widths of the dense layers, after the convolutions of a torso that has some."""
    head_sizes: tuple[int, ...] = ()
    """Widths of the head's own dense layers: each stream's if it is dueling, noisy if there is noise."""
    activation: str = "relu"
    """Of the dense layers, and of ``convolutions``."""
    kernel_init: str = "default"
    """How the torso's weights begin: ``lecun_normal`` by ``default``; or ``lecun_normal``, ``glorot_normal``,
    ``kaiming_normal``, the same with ``uniform``, or ``orthogonal``, with a gain as in ``orthogonal(1.4142)``;
    ``normal(0.02)``, ``uniform(0.02)`` (on both sides of 0) or ``constant(0.02)``."""
    layer_norm: bool = False
    """Whether to normalise before each activation of the torso."""
    double_q: bool = True
    """Whether the online network chooses the action that the target network values."""
    dueling: bool = False
    """Whether the network has separate streams for value and advantage."""
    noise: str = "none"
    """Noisy layers in the head: ``none``, ``factorised`` or ``independent``."""
    noise_sigma: float = 0.5
    """Initial deviation of factorised noise."""
    exploration: str = "auto"
    """``epsilon_greedy``; ``epsilon_ladder``: environment i of N explores with epsilon^(1 + 7 i / (N - 1));
    ``boltzmann``: with probabilities softmax(Q / temperature); or ``greedy``. ``auto`` is ``greedy`` with noisy layers,
    which explore by themselves, and ``epsilon_greedy`` without."""
    target_update: str = "hard"
    """``hard``: copy every ``target_update_period`` updates; ``polyak``: move by ``tau`` at each."""
    target_update_period: int = 100
    """Updates between two copies."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "target_update_period")
        require_widths(self, "hidden_sizes", "head_sizes")
        require_torso(self)
        require_choice(self, "activation", ACTIVATIONS)
        require_choice(self, "noise", NOISE)
        require_choice(self, "exploration", EXPLORATION)
        require_choice(self, "target_update", ("hard", "polyak"))


@struct.dataclass
class Hyperparameters(off_policy.Hyperparameters):
    """What an experimenter tunes, in every member of the family: leaves, each a scalar or a ``Schedule``."""

    learning_rate: Any = 1e-3
    """Adam's step size."""
    epsilon: Any = dataclasses.field(default_factory=lambda: linear(1.0, 0.05, fraction=0.1))
    """Probability of a uniformly random action."""
    evaluation_epsilon: Any = 0.0
    """The same in an evaluation."""
    temperature: Any = 1.0
    """Of Boltzmann exploration."""
    max_grad_norm: Any = 10.0
    """Bound of the gradient's global norm."""
    q_regularization: Any = 0.0
    """Coefficient of the mean square of the learned action values."""
    weight_decay: Any = 0.0
    """Coefficient of the parameters that is added to their gradient."""


class State(NamedTuple):
    params: PyTree
    target_params: PyTree
    opt_state: optax.OptState
    updates: Array
    """Updates since the last hard copy."""


class Loss(NamedTuple):
    """What a member's loss returns: ``[B]`` each."""

    per_sample: Array
    priorities: Array
    """How wrong each transition was: its priority, before the exponent."""
    metrics: dict[str, Array]
    """Means of these are logged; ``q_value`` is that of the action taken."""


LossFunction = Callable[[PyTree, PyTree, Sample, Key, Any], Loss]
"""``loss(params, target_params, batch, key, hp)``."""
QValues = Callable[[PyTree, PyTree, "Key | None"], Array]
"""``q_values(params, observation, key) -> [B, A]``: with a key, as exploring sees them (noise, sampled quantiles); with
None, as evaluation does."""


class QNetwork(nn.Module):
    """Inputs ``[B, ...]`` to action values ``[B, A]``, or ``[B, A, outputs]``; ``allowed`` as of ``QHead``."""

    num_actions: int
    config: Config
    kind: str
    outputs: int = 1

    @nn.compact
    def __call__(self, x: Array, noise: Noise | None = None, allowed: Array | None = None) -> Array:
        c = self.config
        x = make_torso(self.kind, c)(x)
        return make_head(self.num_actions, c, self.outputs)(x, noise, allowed)


def make_torso(kind: str, config: Any, default_init: Initializer = nn.initializers.lecun_normal()) -> Torso:
    """The torso of a kind that a configuration asks for; ``default_init``: of its kernels, if it does not say."""
    c, kernel_init = config, initializer(config.kernel_init, default_init)
    return Torso(kind, c.hidden_sizes, c.activation, kernel_init, c.layer_norm, convolutions=conv_settings(c))


def make_head(num_actions: int, config: Config, outputs: int = 1) -> QHead:
    """The head that a configuration asks for."""
    return QHead(
        num_actions, config.dueling, outputs, config.head_sizes, config.activation, config.noise, config.noise_sigma
    )


class Setting(NamedTuple):
    """What a member needs to know of the environment."""

    num_actions: int
    kind: str
    """Of the torso."""
    inputs: Callable[[PyTree], PyTree]
    """Observations ``[B, ...]`` to what the network is given."""
    example: PyTree
    """One input, with a batch axis."""
    allowed: Callable[[PyTree], Array | None]
    """Which actions may be taken, ``[B, A]`` booleans; None if all may."""

    def apply(self, network: nn.Module, params: PyTree, observation: PyTree, *rest: Any) -> Array:
        """Call a network with observations: what it takes of them, ``rest``, and which actions are allowed."""
        return network.apply(params, self.inputs(observation), *rest, allowed=self.allowed(observation))

    def masked(self, values: Array, observation: PyTree) -> Array:
        """Values ``[B, A]`` of an observation's actions, minus infinity where an action is forbidden."""
        allowed = self.allowed(observation)
        return values if allowed is None else jnp.where(allowed, values, -jnp.inf)


def setting(name: str, spec: Spec, config: Config) -> Setting:
    """Look at an environment's spaces.

    Raises:
        ValueError: if the action space is not ``Discrete``, the torso does not suit the observations, or rewards are
            vectors.
    """
    require_scalar_reward(name, spec)
    space = spec.action_space
    if not isinstance(space, spaces.Discrete):
        raise ValueError(f"{name} needs a Discrete action space, got {space} of {spec.name}; ppo takes a Box too")
    (seen, sees), _, allowed = observations.sides(spec.observation_space, space)
    kind = torso_kind(seen, config.torso, config.convolutions)
    inputs = lambda observation: torso_input(seen, sees(observation), kind)
    return Setting(int(space.n), kind, inputs, inputs(jax_spaces.zeros(spec.observation_space, (1,))), allowed)


def noise_of(config: Config, key: Key | None, per_row: bool = False) -> Noise | None:
    """The noise of one call of a network, or None where there is none."""
    return None if config.noise == "none" or key is None else Noise(key, per_row)


def make_q_learning(
    name: str,
    spec: Spec,
    setting: Setting,
    config: Config,
    hyperparameters: Hyperparameters,
    init_params: Callable[[Key], PyTree],
    q_values: QValues,
    loss: LossFunction,
    draws: bool = False,
) -> Algorithm[State]:
    """Build a member of the family.

    Args:
        name: its name.
        spec: the environment's spaces.
        setting: what ``setting`` found in them.
        config: static configuration.
        hyperparameters: defaults.
        init_params: ``init_params(key) -> params``.
        q_values: see ``QValues``.
        loss: see ``LossFunction``.
        draws: whether ``q_values`` and ``loss`` make use of their keys.
    """
    optimizer = optax.scale_by_adam(eps=config.adam_epsilon)
    exploration = config.exploration
    if exploration == "auto":
        exploration = "epsilon_greedy" if config.noise == "none" else "greedy"

    def init(key: Key, hp: Hyperparameters) -> State:
        del hp
        params = init_params(key)
        # A copy, so that both can be donated.
        return State(params, jax.tree.map(jnp.copy, params), optimizer.init(params), jnp.zeros((), jnp.int32))

    def act(policy, observation, carry, key, hp, explore=True):
        allowed = setting.allowed(observation)
        if not explore:
            q = setting.masked(q_values(policy, observation, None), observation)
            return epsilon_greedy(key, q, hp.evaluation_epsilon, allowed), carry, {}
        network_key = None
        if draws:
            key, network_key = jax.random.split(key)
        q = setting.masked(q_values(policy, observation, network_key), observation)
        match exploration:
            case "greedy":
                action = greedy(q)
            case "epsilon_greedy":
                action = epsilon_greedy(key, q, hp.epsilon, allowed)
            case "epsilon_ladder":
                action = epsilon_greedy(key, q, epsilon_ladder(q.shape[0], hp.epsilon), allowed)
            case "boltzmann":
                action = boltzmann(key, q, hp.temperature)
        return action, carry, {}

    def update(state: State, batch: Sample, key: Key, hp: Hyperparameters) -> tuple[State, Info]:
        def objective(params):
            out = loss(params, state.target_params, batch, key, hp)
            regularization = hp.q_regularization * jnp.mean(out.metrics["q_value"] ** 2)
            return jnp.mean(batch.weights * out.per_sample) + regularization, out

        (value, out), gradients = jax.value_and_grad(objective, has_aux=True)(state.params)
        params, opt_state, grad_norm = apply_gradients(
            optimizer, state.params, state.opt_state, gradients,
            learning_rate=hp.learning_rate, max_grad_norm=hp.max_grad_norm, weight_decay=hp.weight_decay,
        )  # fmt: skip
        updates = state.updates + 1
        if config.target_update == "hard":
            due = updates >= config.target_update_period
            target_params = jax.tree.map(lambda new, old: jnp.where(due, new, old), params, state.target_params)
            updates = jnp.where(due, 0, updates)
        else:
            target_params = optax.incremental_update(params, state.target_params, hp.tau)
        metrics = {"loss": value, **jax.tree.map(jnp.mean, out.metrics), "grad_norm": grad_norm}
        return State(params, target_params, opt_state, updates), Info(metrics, out.priorities)

    def value(state: State, observation: PyTree) -> Array:
        return jnp.max(setting.masked(q_values(state.params, observation, None), observation), axis=-1)

    return Algorithm(
        name=name,
        spec=spec,
        config=config,
        hyperparameters=hyperparameters,
        feed=off_policy.make_feed(spec, config),
        init=init,
        policy=lambda state: state.params,
        act=act,
        update=update,
        value=value,
    )
