"""Actors and critics that are linear but for the squashing of actions: their updates by hand, in NumPy.

One hidden layer without an activation. Gradients are compared in the last layers, through which all others pass.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import by_hand
import jax
import numpy as np
from by_hand import BOOTSTRAP, DISCOUNT, ROWS, SGD, STEPS, TERMINATED, TRUNCATED
from gymnasium import spaces

from jaxrl.types import Sample, Spec, Transition

N, TAU, TEMPERATURE, TARGET_ENTROPY = 2, 0.25, 0.4, -0.3
SPEC = Spec("box", spaces.Box(-9, 9, (3,), np.float32), spaces.Box(-1, 1, (N,), np.float32))


def make(module: Any, **config: Any) -> tuple[Any, Any, Any, Any]:
    """A member that descends plainly: ``agent, hp, state, update``; its targets differ from what they follow."""
    sizes = {"hidden_sizes": (4,), "critic_sizes": (4,), "activation": "identity", "policy_delay": 1}
    agent = module.make(SPEC, module.Config(**sizes | {"adam_epsilon": SGD, "adam_b1": 0.9} | config))
    hp = agent.hyperparameters.replace(
        discount=DISCOUNT, tau=TAU, actor_learning_rate=SGD, critic_learning_rate=SGD, epsilon=0.0
    )
    if hasattr(hp, "temperature"):
        hp = hp.replace(temperature=TEMPERATURE, temperature_learning_rate=SGD, target_entropy=TARGET_ENTROPY)
    state = by_hand.quick(lambda key: agent.init(key, hp))(jax.random.key(0))
    rng = np.random.default_rng(1)
    shifted = jax.tree.map(lambda x: x + rng.normal(size=x.shape).astype(np.float32) / 2, state.targets)
    return agent, hp, state._replace(targets=shifted), by_hand.quick(agent.update)


def sample() -> Sample:
    """Six rows that span 1 to 3 steps, one terminated, two truncated."""
    rng = np.random.default_rng(0)
    draw = lambda *shape: rng.uniform(-1, 1, shape).astype(np.float32)
    transitions = Transition(draw(ROWS, 3), draw(ROWS, N), draw(ROWS), TERMINATED, TRUNCATED, draw(ROWS, 3))
    return Sample(transitions, np.arange(ROWS), draw(ROWS) + 1.5, STEPS.astype(np.int32))


def keys_of(key: Any) -> tuple[Any, Any, Any, Any]:
    """Keys of the target's action, of its subset of critics, of the state value's action, of the actor's."""
    critic_key, value_key, actor_key = jax.random.split(key, 3)
    action_key, subset_key, *_ = jax.random.split(critic_key, 4)
    return action_key, subset_key, jax.random.split(value_key)[0], jax.random.split(actor_key)[0]


class Layers(NamedTuple):
    """Outputs, and what the last layer is given."""

    output: np.ndarray
    hidden: np.ndarray


def _dense(layer: Any, x: np.ndarray) -> np.ndarray:
    return x @ np.asarray(layer["kernel"], np.float64) + np.asarray(layer["bias"])


def actor(variables: Any, x: np.ndarray) -> Layers:
    """``[B, outputs]`` of the head, before squashing."""
    hidden = _dense(variables.params["Layers_0"]["Dense_0"], x)
    return Layers(_dense(actor_head(variables), hidden), hidden)


def actor_head(variables: Any) -> Any:
    """The last layer."""
    (head,) = (p["Dense_0"] for name, p in variables.params.items() if name.endswith("Head_0"))
    return head


def members(variables: Any) -> list[Any]:
    """Parameters of each critic."""
    (stacked,) = variables.params.values()
    size = len(jax.tree.leaves(stacked)[0])
    return [jax.tree.map(lambda x, i=i: np.asarray(x)[i], stacked) for i in range(size)]


def critic(variables: Any, x: np.ndarray, action: np.ndarray) -> Layers:
    """``[N, B, outputs]`` of all critics."""
    x = np.concatenate([x, action], axis=-1)
    hidden = [_dense(p["Layers_0"]["Dense_0"], x) for p in members(variables)]
    return Layers(
        np.stack([_dense(p["Dense_0"], h) for p, h in zip(members(variables), hidden, strict=True)]), np.stack(hidden)
    )


def action_slopes(variables: Any) -> np.ndarray:
    """``[N, n]`` slope of each critic's mean output in the action: everything is linear."""
    product = lambda p: np.asarray(p["Layers_0"]["Dense_0"]["kernel"])[-N:] @ np.asarray(p["Dense_0"]["kernel"])
    return np.stack([product(p).mean(-1) for p in members(variables)])


class Drawn(NamedTuple):
    """An action of a squashed Gaussian."""

    action: np.ndarray
    log_prob: np.ndarray
    spread: np.ndarray
    """Slope of the unsquashed action in the logarithm of the deviation."""
    hidden: np.ndarray


def draw(variables: Any, x: np.ndarray, key: Any) -> Drawn:
    """Sample from the policy with a key."""
    output, hidden = actor(variables, x)
    mean, log_std = np.split(output, 2, axis=-1)
    z = np.asarray(jax.random.normal(key, mean.shape))
    u = mean + np.exp(log_std) * z
    normal = np.sum(-0.5 * z**2 - log_std - 0.5 * np.log(2 * np.pi), axis=-1)
    return Drawn(np.tanh(u), normal - np.sum(np.log(1 - np.tanh(u) ** 2), axis=-1), np.exp(log_std) * z, hidden)


def bellman(batch: Sample, bootstrap: np.ndarray) -> np.ndarray:
    """``r + gamma^k (1 - terminated) bootstrap`` of ``[B]`` or ``[B, K]``."""
    column = lambda x: x.reshape(-1, *(1,) * (bootstrap.ndim - 1))
    return column(batch.transitions.reward) + column(BOOTSTRAP) * bootstrap


def assert_critics_descended(new: Any, state: Any, batch: Sample, slope: np.ndarray) -> None:
    """Last layers of the critics moved against ``slope`` ``[N, B, outputs]``, that of the loss in their outputs."""
    hidden = critic(state.critic.variables, batch.transitions.observation, batch.transitions.action).hidden
    pairs = zip(members(new.critic.variables), members(state.critic.variables), slope, hidden, strict=True)
    for after, before, s, h in pairs:
        assert_layer_moved(after["Dense_0"], before["Dense_0"], h, s)


def assert_actor_descended(new: Any, state: Any, hidden: np.ndarray, slope: np.ndarray) -> None:
    """The actor's last layer moved against ``slope`` ``[B, outputs]``."""
    assert_layer_moved(actor_head(new.actor.variables), actor_head(state.actor.variables), hidden, slope)


def assert_layer_moved(after: Any, before: Any, hidden: np.ndarray, slope: np.ndarray) -> None:
    """A dense layer moved against ``slope`` ``[B, outputs]``, that of the loss in its outputs."""
    moved = {name: np.asarray(after[name]) - np.asarray(before[name]) for name in ("kernel", "bias")}
    np.testing.assert_allclose(moved["kernel"], -hidden.T @ slope, rtol=2e-3, atol=2e-5)
    np.testing.assert_allclose(moved["bias"], -slope.sum(0), rtol=2e-3, atol=2e-5)


def assert_followed(new: Any, state: Any, part: str) -> None:
    """The target network of a part moved by tau towards what that part is now."""
    follow = lambda old, online: (1 - TAU) * old + TAU * online
    want = jax.tree.map(follow, state.targets[part], getattr(new, part).variables)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), new.targets[part], want)


def assert_soft_actor(new: Any, state: Any, batch: Sample, key: Any, weights: Any) -> None:
    """The actor moved against the gradient of ``alpha log pi - Q`` and the temperature to its entropy.

    ``weights(values [N, B])`` are ``[N, B]``, those of the critics just stepped in what the actor climbs.
    """
    drawn = draw(state.actor.variables, batch.transitions.observation, keys_of(key)[3])
    variables = new.critic.variables
    values = critic(variables, batch.transitions.observation, drawn.action).output.mean(-1)
    climbs = weights(values).T @ action_slopes(variables)
    # log pi = ... - log(1 - tanh(u)^2), whose slope in u is 2 tanh(u).
    of_u = TEMPERATURE * 2 * drawn.action - climbs * (1 - drawn.action**2)
    slope = np.concatenate([of_u, of_u * drawn.spread - TEMPERATURE], axis=-1) / ROWS
    assert_actor_descended(new, state, drawn.hidden, slope)
    moved = new.temperature.variables.params - np.log(TEMPERATURE)
    entropy_gap = np.mean(drawn.log_prob) + TARGET_ENTROPY * N
    np.testing.assert_allclose(moved, TEMPERATURE * entropy_gap, rtol=1e-3)


def smallest(values: np.ndarray) -> np.ndarray:
    """Weights ``[N, B]`` of the smallest of ``[N, B]`` values."""
    return np.eye(len(values))[values.argmin(0)].T


def average(values: np.ndarray) -> np.ndarray:
    """Weights ``[N, B]`` of the mean."""
    return np.full(values.shape, 1 / len(values))
