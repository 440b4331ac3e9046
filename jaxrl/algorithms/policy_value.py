"""Policy and value of the policy-gradient family: the networks of an actor and a critic, and normalisers.

Everything is a function of parameters and arrays. A feed-forward network sees steps in any order ``[..., n]``; a
recurrent one sees sequences ``[T, B, n]``, each from the state that was stored when the step was taken.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from gymnasium import spaces
from jax.flatten_util import ravel_pytree

from jaxrl import normalization, observations
from jaxrl import spaces as jax_spaces
from jaxrl.algorithms import minibatches, rollouts
from jaxrl.losses.value import two_hot_loss, two_hot_value
from jaxrl.networks.activations import ACTIVATIONS
from jaxrl.networks.heads import ValueHead, ValuesHead
from jaxrl.networks.initializers import initializer, orthogonal
from jaxrl.networks.policies import CONTINUOUS, STD_PARAMETRIZATIONS, policy_head, raw_std
from jaxrl.networks.recurrent import CELLS, RecurrentTorso, initial_carry
from jaxrl.networks.torsos import MLP, Torso, conv_settings, torso_input, torso_kind
from jaxrl.optimizers import OPTIMIZERS
from jaxrl.types import Array, Key, PyTree, Spec
from jaxrl.validation import require, require_choice, require_positive, require_widths

OF_A_GAUSSIAN = (
    "mean_activation", "std_activation", "state_dependent_std", "std_parametrization", "min_std", "initial_std",
)  # fmt: skip
"""Fields of a configuration that a Beta distribution has no use for."""
BOOTSTRAPS = ("final_observation", "current_value")
SUPPORT = 20.0
"""Ends of the atoms of two-hot values, in ``symlog`` of the return."""


@dataclasses.dataclass(frozen=True)
class Config(rollouts.Config):
    """What changes the program's shape."""

    critic_sizes: tuple[int, ...] | None = None
    """Widths of the critic's dense layers; by default ``hidden_sizes``, as the actor's."""
    layer_norm: bool = False
    """Whether to normalise before each activation."""
    d2rl: bool = False
    """Whether each dense layer but the first is also given what the first is."""
    shared_torso: bool = False
    """Whether actor and critic share all layers but their last, as is usual for images."""
    actor_rnn: str = "none"
    """The actor's recurrent cell: ``none``, ``lstm`` or ``gru``."""
    critic_rnn: str = "none"
    """The critic's, likewise; the two need not be the same, unless they share the torso."""
    rnn_size: int = 64
    """Width of the recurrent state."""
    rnn_layers: int = 1
    """Recurrent cells on top of each other."""
    rnn_before_mlp: bool = False
    """Whether the cell comes before the dense layers instead of behind them."""
    rnn_layer_norm: bool = False
    """Whether to normalise the cell's output."""
    rnn_concat_input: bool = False
    """Whether a cell behind the dense layers also gets what goes into them."""
    rnn_concat_output: bool = False
    """Whether what follows the cell also gets the features that its torso begins with."""
    rnn_reset: bool = True
    """Whether the recurrent state is zero where an episode begins; else it goes on from the end of the last one."""
    sequence_length: int | None = None
    """Steps that gradients go back in time; must divide ``rollout_length``, which it is by default."""
    continuous: str = "gaussian"
    """Distribution of continuous actions: ``gaussian``, ``squashed_gaussian`` (by tanh) or ``beta``."""
    head_init: str = "default"
    """How the weights of the policy's last layer begin, as of ``kernel_init``; ``orthogonal(0.01)`` by ``default``. A
    deviation that is an output begins with them too."""
    mean_activation: str = "identity"
    """Of the layer that makes a Gaussian's mean; ``tanh`` keeps the mean within ``[-1, 1]``."""
    state_dependent_std: bool = False
    """Whether a Gaussian's deviation is an output of the network; else it is a free parameter."""
    std_parametrization: str = "exp"
    """How it is made of a number without bounds: ``exp``, ``softplus`` or ``linear``."""
    std_activation: str = "identity"
    """Of that number, before the parametrisation; ``tanh`` with ``exp`` keeps the deviation within ``[1/e, e]``."""
    initial_std: float = 1.0
    """The deviation at the start, in every parametrisation and with every activation that reaches it."""
    min_std: float = 0.0
    """The floor of the deviation with ``softplus`` or ``linear``."""
    value_head: str = "scalar"
    """``scalar``: a number, with squared errors; ``two_hot``: a distribution over the logarithm of returns."""
    num_bins: int = 255
    """Atoms of two-hot values."""
    bootstrap: str = "final_observation"
    """What a truncated step bootstraps from: the value of the episode's ``final_observation``, or that of the
    observation before (``current_value``), as where simulators do not tell the final one."""
    normalize_observation: bool = False
    """Whether to give observations (not images) mean 0 and deviation 1, by running statistics."""
    normalize_images: bool = False
    """Whether images too, each pixel by statistics of its own."""
    observation_clip: float | None = normalization.CLIP
    """Bound of what is normalised, in deviations; none for no bound."""
    normalize_reward: bool = False
    """Whether to divide rewards by the running deviation of their discounted sum."""
    normalize_value: bool = False
    """Whether the critic learns targets of mean 0 and deviation 1, by running statistics."""
    value_clip: float | None = None
    """Bound of those targets and of what the critic says, in deviations; none by default."""
    optimizer: str = "adam"
    """``adam``, or with a decay of 0.99 ``rmsprop`` or ``rmsprop_torch``, which differ in the place of epsilon."""
    adam_epsilon: float = 1e-5
    """Added to the optimiser's denominator: beside the root in ``adam`` and ``rmsprop_torch`` (PyTorch's), under it in
    ``rmsprop`` (Mnih et al. 2016, TensorFlow's)."""
    axis_name: str | None = None
    """The axis of ``vmap``, ``pmap`` or ``shard_map`` over which one agent is spread; gradients and statistics are
    averaged over it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "rnn_size", "rnn_layers", "num_bins")
        require_widths(self, "critic_sizes")
        require_choice(self, "actor_rnn", CELLS)
        require_choice(self, "critic_rnn", CELLS)
        require_choice(self, "continuous", CONTINUOUS)
        require_choice(self, "mean_activation", ACTIVATIONS)
        require_choice(self, "std_activation", ACTIVATIONS)
        initializer(self.head_init, orthogonal(0.01), "head_init")
        require_choice(self, "std_parametrization", STD_PARAMETRIZATIONS)
        require_choice(self, "value_head", ("scalar", "two_hot"))
        for name in ("observation_clip", "value_clip"):
            bound = getattr(self, name)
            require(bound is None or bound > 0.0, name, bound, "must be positive, or none")
        require(self.min_std >= 0.0, "min_std", self.min_std, "must not be negative")
        require(
            self.min_std == 0.0 or self.std_parametrization != "exp", "min_std", self.min_std,
            "has no floor to be with std_parametrization='exp'; take 'softplus' or 'linear'",
        )  # fmt: skip
        require_choice(self, "optimizer", OPTIMIZERS)
        require_choice(self, "bootstrap", BOOTSTRAPS)
        require(
            not self.normalize_images or self.normalize_observation, "normalize_images", self.normalize_images,
            "needs normalize_observation=True",
        )  # fmt: skip
        require(self.initial_std > 0, "initial_std", self.initial_std, "must be positive")
        if self.continuous == "beta":
            default = {field.name: field.default for field in dataclasses.fields(self)}
            for name in OF_A_GAUSSIAN:
                value = getattr(self, name)
                require(value == default[name], name, value, "is of a Gaussian, and continuous='beta' is none")
        raw_std(self.initial_std, self.std_parametrization, self.min_std, self.std_activation)
        require(
            not self.shared_torso or self.actor_rnn == self.critic_rnn, "critic_rnn", self.critic_rnn,
            f"must be {self.actor_rnn!r} like actor_rnn where the torso is shared",
        )  # fmt: skip
        require(
            not self.shared_torso or self.critic_sizes is None, "critic_sizes", self.critic_sizes,
            "must be none where the torso is shared",
        )  # fmt: skip
        if self.sequence_length is not None:
            require_positive(self, "sequence_length")
            require(
                self.rollout_length % self.sequence_length == 0, "sequence_length", self.sequence_length,
                f"must divide rollout_length={self.rollout_length}",
            )  # fmt: skip

    @property
    def recurrent(self) -> bool:
        """Whether there is a recurrent state."""
        return self.actor_rnn != "none" or self.critic_rnn != "none"

    @property
    def num_items(self) -> int:
        return self.rollout_size // ((self.sequence_length or self.rollout_length) if self.recurrent else 1)


def make_optimizer(config: Config) -> optax.GradientTransformation:
    """The optimiser of a configuration, without a learning rate."""
    return OPTIMIZERS[config.optimizer](config.adam_epsilon)


def require_separable(config: Any) -> None:
    """Raise unless actor and critic can have optimisers of their own, if the configuration says so."""
    require(
        not (config.shared_torso and config.separate_optimizers), "separate_optimizers", True,
        "must be false where the torso is shared",
    )  # fmt: skip


def descent_rates(config: Any, params: PyTree, hp: Any) -> dict[str, Any]:
    """Step size and bound of the gradient for ``apply_gradients`` or ``descend``; with ``separate_optimizers`` those of
    the critic apart, for parameters as one vector."""
    if not config.separate_optimizers:
        return {"learning_rate": hp.learning_rate, "max_grad_norm": hp.max_grad_norm}
    critics = {side: jax.tree.map(lambda x, s=side: jnp.full(x.shape, s == CRITIC), p) for side, p in params.items()}
    return {
        "learning_rate": (hp.learning_rate, hp.critic_learning_rate),
        "max_grad_norm": (hp.max_grad_norm, hp.critic_max_grad_norm),
        "apart": ravel_pytree(critics)[0],
    }


class Normalizers(NamedTuple):
    """Running statistics; ``()`` where there are none."""

    observation: PyTree
    reward: PyTree
    """Of the discounted sums of rewards."""
    sums: PyTree
    """``[B]`` those sums, of the episodes under way."""
    value: PyTree
    advantage: PyTree = ()
    """Of PPO's advantages, where their scope is ``running``."""


class Policy(NamedTuple):
    """What acting needs."""

    params: PyTree
    observation: PyTree
    """Statistics of observations, or ``()``."""


ACTOR, CRITIC = "actor", "critic"
BOTH = (ACTOR, CRITIC)


class Outputs(NamedTuple):
    """What the networks say of observations ``[..., *]``; None where they were not asked."""

    distribution: Any
    features: Array | None
    """``[..., n]`` what the actor's last layer is given."""
    value: Array | None
    """``[...]``, or ``[..., n]``: what the critic's last layer gives (see ``Networks.value_of``)."""
    carry: PyTree
    """After the last step."""


@dataclasses.dataclass(frozen=True, eq=False)
class Networks:
    """An actor and a critic as pure functions of ``Policy(params, observation statistics)``."""

    spec: Spec
    config: Config
    init: Callable[[Key], PyTree]
    """``init(key) -> params``, a dictionary with ``actor``, ``critic`` and, if it is shared, ``torso``."""
    act: Callable[[Policy, PyTree, PyTree], tuple[Any, PyTree]]
    """``act(policy, observation [B, ...], carry [B, ...]) -> distribution, carry``: one step."""
    apply: Callable[..., Outputs]
    """``apply(policy, observation, carry, begins, sides=BOTH) -> Outputs``, of steps ``[..., *]``, or if the networks
    are recurrent of sequences ``[T, B, ...]`` that start from ``carry`` and are reset where ``begins``."""
    stepwise: Callable[[Policy, PyTree, PyTree], Outputs]
    """``stepwise(policy, observation [T, B, ...], carry [T, B, ...])``: each step from the state stored with it."""

    def actor(self, policy: Policy, observation: PyTree, carry: PyTree, begins: Array | None) -> Any:
        """The distribution alone, as of ``apply``."""
        return self.apply(policy, observation, carry, begins, (ACTOR,)).distribution

    def critic(self, policy: Policy, observation: PyTree, carry: PyTree, begins: Array | None) -> Array:
        """The critic's output alone, as of ``apply``."""
        return self.apply(policy, observation, carry, begins, (CRITIC,)).value

    def initial_carry(self, batch_size: int) -> PyTree:
        """The recurrent state at the start of an episode; ``()`` for feed-forward networks."""
        c = self.config
        if not c.recurrent:
            return ()
        cells = {"torso": c.actor_rnn} if c.shared_torso else {"actor": c.actor_rnn, "critic": c.critic_rnn}
        start = lambda cell: initial_carry(cell, c.rnn_size, batch_size, c.rnn_layers)
        return {k: start(cell) for k, cell in cells.items() if cell != "none"}

    def acting(self, params: PyTree) -> PyTree:
        """The parameters that acting needs: not the critic's, unless it has a state to keep up."""
        needed = ("torso", ACTOR, *((CRITIC,) if CRITIC in self.initial_carry(1) else ()))
        return {name: p for name, p in params.items() if name in needed}

    def value_of(self, output: Array, normalizers: Normalizers) -> Array:
        """The value that an output of the critic means, in units of the reward."""
        value = two_hot_value(output, self.support) if self.config.value_head == "two_hot" else output
        c = self.config
        return normalization.undo(normalizers.value, value, c.value_clip) if c.normalize_value else value

    def value_error(self, output: Array, target: Array) -> Array:
        """The loss of an output of the critic, element by element; the target in the critic's units."""
        if self.config.value_head == "two_hot":
            return two_hot_loss(output, target, self.support)
        return 0.5 * (output - target) ** 2

    @property
    def support(self) -> Array:
        """``[K]`` atoms of two-hot values."""
        return jnp.linspace(-SUPPORT, SUPPORT, self.config.num_bins)

    def init_normalizers(self) -> Normalizers:
        """Statistics of nothing."""
        c, space = self.config, self.spec.observation_space
        example = observations.normalizable(space, jax_spaces.zeros(space), c.normalize_images)
        reward = jnp.zeros(self.spec.reward_shape)
        sums = jnp.zeros((c.num_envs, *reward.shape))
        return Normalizers(
            normalization.init(example) if c.normalize_observation else (),
            normalization.init(reward) if c.normalize_reward else (),
            sums if c.normalize_reward else (),
            normalization.init(reward) if c.normalize_value else (),
        )

    def example(self, params: PyTree) -> Outputs:
        """What they say of an observation of zeros, for shapes."""
        observation = jax_spaces.zeros(self.spec.observation_space, (1, 1) if self.config.recurrent else (1,))
        policy = Policy(params, self.init_normalizers().observation)
        return self.apply(policy, observation, self.initial_carry(1), None)

    def value(self, params: PyTree, normalizers: Normalizers, observation: PyTree) -> Array:
        """``[B]`` values of observations that begin an episode; of vector rewards, the sum of their values."""
        value = self.values(params, normalizers, observation)
        return jnp.sum(value, axis=-1) if self.spec.reward_shape else value

    def values(self, params: PyTree, normalizers: Normalizers, observation: PyTree) -> Array:
        """``[B]`` the same, but ``[B, K]`` of vector rewards, each by itself."""
        batch_size = jax.tree.leaves(observation)[0].shape[0]
        policy, carry = Policy(params, normalizers.observation), self.initial_carry(batch_size)
        if not self.config.recurrent:
            output = self.critic(policy, observation, (), None)
        else:
            output = self.critic(policy, jax.tree.map(lambda x: x[None], observation), carry, None)[0]
        return self.value_of(output, normalizers)


class _Actor(nn.Module):
    torso: Callable[[], Callable[..., Any]]
    head: Callable[[], nn.Module]

    @nn.compact
    def __call__(self, x: Any, mask: Array | None, carry: PyTree, begins: Array | None) -> tuple[Any, Array, PyTree]:
        x, carry = _through(self.torso(), x, carry, begins)
        return self.head()(x, mask), x, carry


class _Critic(nn.Module):
    torso: Callable[[], Callable[..., Any]]
    head: Callable[[], nn.Module]

    @nn.compact
    def __call__(self, x: Any, carry: PyTree, begins: Array | None) -> tuple[Array, PyTree]:
        x, carry = _through(self.torso(), x, carry, begins)
        return self.head()(x), carry


def _through(torso: Callable[..., Any], x: Any, carry: PyTree, begins: Array | None) -> tuple[Any, PyTree]:
    return (torso(x), None) if carry is None else torso(x, carry, begins)


def make_networks(spec: Spec, config: Config, torso: Callable[[str], nn.Module] | None = None) -> Networks:
    """Build the networks for an environment.

    Args:
        spec: the environment's spaces. Observations may hold an action mask, and what only the critic sees
            (``jaxrl.observations``). Actions: what ``policy_head`` takes.
        config: static configuration.
        torso: ``torso(side) -> module``, for ``actor`` and ``critic`` (a shared one is the actor's), in the place of
            the configuration's: from what ``torso_input`` gives to features ``[..., n]``, or if they are recurrent
            ``module(x, carry, begins) -> features, carry``.

    Raises:
        ValueError: for an action space that policies do not cover, a torso that does not suit observations, or a torso
            that is shared although the critic sees more.
    """
    whole = spec.observation_space
    shown = observations.sides(whole, spec.action_space)
    require(
        not config.shared_torso or shown.actor.space == shown.critic.space, "shared_torso", True,
        f"must be false where the critic sees an entry {observations.PRIVILEGED!r} that the actor does not",
    )  # fmt: skip
    seen_by = {ACTOR: shown.actor, CRITIC: shown.critic}
    kinds = {side: torso_kind(s.space, config.torso, config.convolutions) for side, s in seen_by.items()}
    gaussian = {
        "state_dependent": config.state_dependent_std,
        "parametrization": config.std_parametrization,
        "initial_log_std": math.log(config.initial_std),
        "min_std": config.min_std,
        "mean_activation": config.mean_activation,
        "std_activation": config.std_activation,
    }
    head_init = initializer(config.head_init, orthogonal(0.01), "head_init")
    head = lambda: policy_head(spec.action_space, config.continuous, head_init, **gaussian)
    head()  # refuse an unsupported space now
    require(
        config.value_head == "scalar" or not (spec.reward_shape or config.normalize_value), "value_head",
        config.value_head, "must be 'scalar' with vector rewards and with normalize_value",
    )  # fmt: skip

    def configured_torso(side: str) -> nn.Module:
        kind, cell = kinds[side], config.actor_rnn if side == "actor" else config.critic_rnn
        sizes = config.critic_sizes if side == CRITIC and config.critic_sizes is not None else config.hidden_sizes
        kernel_init = initializer(config.kernel_init, orthogonal(2**0.5))
        settings = sizes, config.activation, kernel_init
        switches = config.layer_norm, config.d2rl, conv_settings(config)
        if cell != "none":
            return RecurrentTorso(
                kind, *settings, cell, config.rnn_size, config.rnn_layer_norm, config.rnn_before_mlp,
                config.rnn_concat_input, *switches, config.rnn_concat_output, config.rnn_layers,
            )  # fmt: skip
        return MLP(*settings, *switches[:2]) if kind == "mlp" else Torso(kind, *settings, *switches)

    def value_head() -> nn.Module:
        if config.value_head == "two_hot":
            return ValuesHead(config.num_bins, nn.initializers.zeros)
        if spec.reward_shape:
            return ValuesHead(spec.reward_shape[0], orthogonal(1.0))
        return ValueHead(orthogonal(1.0))

    torso = configured_torso if torso is None else torso
    shared = torso("actor") if config.shared_torso else None
    own = lambda side: lambda: (lambda x: x) if shared is not None else torso(side)
    actor, critic = _Actor(own("actor"), head), _Critic(own("critic"), value_head)

    def prepared(policy: Policy, observation: PyTree) -> PyTree:
        """The observation, normalised."""
        if not config.normalize_observation:
            return observation
        return observations.normalized(
            whole, observation, policy.observation, config.normalize_images, config.observation_clip
        )

    def inputs(side: str, observation: PyTree) -> Any:
        space, sees = seen_by[side]
        return torso_input(space, sees(observation), kinds[side])

    def features(policy: Policy, observation: PyTree, carry: PyTree, begins: Array | None, side: str) -> tuple:
        """What a side's own layers are given, its carry, and the carry of a shared torso after it."""
        x = inputs(side, prepared(policy, observation))
        carry = carry or {}
        if shared is None:
            return x, carry.get(side), None
        if not config.recurrent:
            return shared.apply(policy.params["torso"], x), None, None
        x, after = shared.apply(policy.params["torso"], x, carry["torso"], begins)
        return x, None, {"torso": after}

    def apply(
        policy: Policy, observation: PyTree, carry: PyTree, begins: Array | None, sides: tuple[str, ...] = BOTH
    ) -> Outputs:
        distribution = seen = value = x = None
        after = {}
        for side in sides:
            if shared is None or x is None:
                x, own_carry, shared_after = features(policy, observation, carry, begins, side)
            if side == ACTOR:
                allowed = shown.allowed(observation)
                distribution, seen, new = actor.apply(policy.params[ACTOR], x, allowed, own_carry, begins)
            else:
                value, new = critic.apply(policy.params[CRITIC], x, own_carry, begins)
            after |= shared_after or ({} if new is None else {side: new})
        return Outputs(distribution, seen, value, after if config.recurrent else carry)

    def init(key: Key) -> PyTree:
        actor_key, critic_key = jax.random.split(key)
        observation = jax_spaces.zeros(whole, (1, 1) if config.recurrent else (1,))
        carry = networks.initial_carry(1)
        params = {}
        if shared is not None:
            x, torso_key = inputs("actor", observation), jax.random.fold_in(key, 2)
            args = (carry["torso"],) if config.recurrent else ()
            params["torso"] = shared.init(torso_key, x, *args)
        policy = Policy(params, networks.init_normalizers().observation)
        x, own_carry, _ = features(policy, observation, carry, None, "actor")
        params["actor"] = actor.init(actor_key, x, shown.allowed(observation), own_carry, None)
        x, own_carry, _ = features(policy, observation, carry, None, "critic")
        return params | {"critic": critic.init(critic_key, x, own_carry, None)}

    def act(policy: Policy, observation: PyTree, carry: PyTree) -> tuple[Any, PyTree]:
        if not config.recurrent:
            return apply(policy, observation, carry, None, (ACTOR,)).distribution, carry
        observation = jax.tree.map(lambda x: x[None], observation)
        outputs = apply(policy, observation, carry, None, BOTH if CRITIC in carry else (ACTOR,))
        return jax.tree.map(lambda x: x[0], outputs.distribution), outputs.carry

    def stepwise(policy: Policy, observation: PyTree, carry: PyTree) -> Outputs:
        if not config.recurrent:
            return apply(policy, observation, carry, None)
        shape = jax.tree.leaves(carry)[0].shape[:2]
        flat = jax.tree.map(lambda x: x.reshape(1, -1, *x.shape[2:]), observation)
        outputs = apply(policy, flat, minibatches.items(carry), None)
        back = lambda tree, skip: jax.tree.map(lambda x: x.reshape(*shape, *x.shape[skip:]), tree)
        return Outputs(*back(outputs[:3], 2), back(outputs.carry, 1))

    networks = Networks(
        spec=spec,
        config=config,
        init=init,
        act=act,
        apply=apply,
        stepwise=stepwise,
    )
    return networks


def make_act(networks: Networks) -> Callable[..., tuple[PyTree, PyTree, dict[str, Any]]]:
    """``act`` of an algorithm. Its extras are the ``log_prob`` and, of recurrent networks, the ``carry`` before the
    step."""

    def act(policy, observation, carry, key, hp, explore=True):
        del hp
        distribution, after = networks.act(policy, observation, carry)
        if not explore:
            return distribution.mode(), after, {}
        action = distribution.sample(seed=key)
        extras = {"log_prob": distribution.log_prob(action)}
        return action, after, {**extras, "carry": carry} if networks.config.recurrent else extras

    return act


def interrupt(state: Any) -> Any:
    """``interrupt`` of an algorithm whose state has ``normalizers``: no sums of rewards are under way."""
    sums = jax.tree.map(jnp.zeros_like, state.normalizers.sums)
    return state._replace(normalizers=state.normalizers._replace(sums=sums))


def require_bounded_gaussian(spec: Spec, config: Config, field: str, value: Any) -> None:
    """Raise unless actions are drawn from a Gaussian over one ``Box``."""
    require(
        isinstance(spec.action_space, spaces.Box) and config.continuous == "gaussian", field, value,
        f"needs a Gaussian policy over a Box, but the actions are {spec.action_space}",
    )  # fmt: skip
