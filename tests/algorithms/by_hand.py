"""Tables of numbers that the tests of updates compute by hand, and small batches to update from.

Without hidden layers a network of one-hot observations is a table with a row for each state. Adam with a huge epsilon
and as large a rate makes plain gradient descent, ``params - gradient``, in the first step.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from gymnasium import spaces

from jaxrl.types import Rollout, Sample, Spec, Transition

STATES, ACTIONS, ROWS = 6, 3, 6
DISCOUNT = 0.9
SGD = 1e6
"""Adam's epsilon, and the learning rate."""
SPEC = Spec("table", spaces.Box(0, 1, (STATES,), np.float32), spaces.Discrete(ACTIONS))
STEPS = np.array([1, 2, 3, 1, 2, 3])
TERMINATED = np.array([False, False, True, False, False, False])
TRUNCATED = np.array([False, True, False, False, False, True])
STATE, NEXT_STATE = np.array([0, 1, 2, 0, 1, 2]), np.array([3, 4, 5, 5, 4, 3])
"""No state is both: a table's rows 3 to 5 show what flows through a target."""
BOOTSTRAP = DISCOUNT**STEPS * ~TERMINATED
"""By hand: gamma^k of each row's own k; nothing behind a termination, everything behind a truncation."""


def one_hot(states: Any) -> np.ndarray:
    """Observations of states."""
    return np.eye(STATES, dtype=np.float32)[states]


def sample(seed: int = 0) -> Sample:
    """Six rows of a replay: spans of 1 to 3 steps, one of them terminated, two truncated, and weights."""
    rng = np.random.default_rng(seed)
    action, reward = np.array([0, 1, 2, 2, 0, 1], np.int32), rng.normal(size=ROWS).astype(np.float32)
    transitions = Transition(one_hot(STATE), action, reward, TERMINATED, TRUNCATED, one_hot(NEXT_STATE))
    weights = rng.uniform(0.5, 1.5, ROWS).astype(np.float32)
    return Sample(transitions, np.arange(ROWS), weights, STEPS.astype(np.int32))


def quick(function: Any) -> Any:
    """Jit a function that is called once or twice, without XLA's optimisations."""
    return jax.jit(function, compiler_options={"xla_backend_optimization_level": 0})


def two_networks(agent: Any, hp: Any) -> Any:
    """A value-based state whose target network is not a copy of the online one."""
    init = quick(lambda key: agent.init(key, hp))
    return init(jax.random.key(0))._replace(target_params=init(jax.random.key(1)).params)


def head(params: Any) -> dict[str, np.ndarray]:
    """The parameters of a value-based network's last layer."""
    return {name: np.asarray(x) for name, x in params["params"]["QHead_0"]["q"].items()}


def noisy_layer(layer: dict[str, np.ndarray], key: Any = None) -> tuple[np.ndarray, np.ndarray]:
    """Kernel and bias of a layer with factorised noise, drawn with the key for the whole batch; None for no noise."""
    kernel, bias = layer["kernel"], layer["bias"]
    if key is None:
        return kernel, bias
    normals = np.asarray(jax.random.normal(key, (1, sum(kernel.shape))))[0]
    noise_in, noise_out = np.split(np.sign(normals) * np.sqrt(np.abs(normals)), [kernel.shape[0]])
    kernel = kernel + layer["kernel_sigma"] * np.outer(noise_in, noise_out)
    return kernel, bias + layer["bias_sigma"] * noise_out


def table(params: Any, key: Any = None, outputs: int = 1) -> np.ndarray:
    """``[S, A]`` values of all states and actions, or ``[S, A, outputs]``; with noise if there is a key."""
    kernel, bias = noisy_layer(head(params), key)
    values = (kernel + bias).astype(np.float64)
    return values if outputs == 1 else values.reshape(STATES, ACTIONS, outputs)


def noise_keys(key: Any) -> list[Any]:
    """Keys of an update's noise: of the online network, of the target, of the one that chooses (double Q-learning)."""
    return [jax.random.fold_in(key, i) for i in range(3)]


def assert_descended(new: Any, old: Any, slope: np.ndarray, action: np.ndarray = sample().transitions.action) -> None:
    """The head moved against the gradient: ``slope`` ``[B]`` or ``[B, outputs]`` is that of the loss in each row's
    chosen values, and no other value has one."""
    slope = slope.reshape(ROWS, -1)
    gradient = np.zeros((STATES, ACTIONS, slope.shape[1]))
    np.add.at(gradient, (STATE, action), slope)
    gradient = gradient.reshape(STATES, -1)
    moved = {name: head(new)[name] - head(old)[name] for name in ("kernel", "bias")}
    np.testing.assert_allclose(moved["kernel"], -gradient, rtol=1e-3, atol=2e-5)
    np.testing.assert_allclose(moved["bias"], -gradient.sum(0), rtol=1e-3, atol=2e-5)


# --- Rollouts, of policies and values that are tables

T, B = 5, 3
VALID = np.ones((T, B), bool)
VALID[2, 0] = False
"""The dummy step of a host environment that resets after the end before it."""
ENDS = {"terminated": [(1, 0), (4, 2)], "truncated": [(2, 1)]}


def rollout(seed: int = 0, log_prob: np.ndarray | None = None, masked: bool = True) -> Rollout:
    """Five steps in three environments, with a termination, a truncation, and a dummy step after the former.

    Successors are true ones: the next observation within an episode, another state at its end.
    """
    rng = np.random.default_rng(seed)
    state = rng.integers(0, STATES, (T, B))
    terminated, truncated = np.zeros((2, T, B), bool)
    for flags, places in ((terminated, ENDS["terminated"]), (truncated, ENDS["truncated"])):
        for place in places:
            flags[place] = True
    after = np.concatenate([state[1:], rng.integers(0, STATES, (1, B))])
    successor = np.where(terminated | truncated, (after + 1) % STATES, after)
    action = rng.integers(0, ACTIONS, (T, B)).astype(np.int32)
    reward = rng.normal(size=(T, B)).astype(np.float32)
    drawn = rng.uniform(-1.6, -0.6, (T, B)).astype(np.float32)
    transitions = Transition(one_hot(state), action, reward, terminated, truncated, one_hot(successor))
    extras = {"log_prob": drawn if log_prob is None else log_prob.astype(np.float32)}
    return Rollout(transitions, extras, (), VALID if masked else None)


def states_of(batch: Rollout) -> tuple[np.ndarray, np.ndarray]:
    """States and successors ``[T, B]`` of a rollout."""
    return batch.transitions.observation.argmax(-1), batch.transitions.next_observation.argmax(-1)


def policy_tables(params: Any) -> tuple[np.ndarray, np.ndarray]:
    """``[S, A]`` log-probabilities and ``[S]`` values."""
    dense = lambda side, name: params[side]["params"][name]["Dense_0"]
    add = lambda layer: np.asarray(layer["kernel"], np.float64) + np.asarray(layer["bias"])
    logits = add(dense("actor", "CategoricalHead_0"))
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True)), add(dense("critic", "ValueHead_0"))[:, 0]


def advantages(batch: Rollout, value: np.ndarray, gae_lambda: float) -> np.ndarray:
    """``[T, B]`` generalised advantage estimates of a table of values, step by step from the end."""
    t, (state, successor) = batch.transitions, states_of(batch)
    out, last = np.zeros((T, B)), np.zeros(B)
    for i in reversed(range(T)):
        delta = t.reward[i] + DISCOUNT * np.where(t.terminated[i], 0, value[successor[i]]) - value[state[i]]
        last = delta + DISCOUNT * gae_lambda * np.where(t.terminated[i] | t.truncated[i], 0, last)
        out[i] = last
    return out


def mean(x: np.ndarray, batch: Rollout) -> np.ndarray:
    """The mean over the real steps."""
    return x[np.ones((T, B), bool) if batch.valid is None else batch.valid].mean()


def chosen(log_probs: np.ndarray, batch: Rollout) -> np.ndarray:
    """``[T, B]`` log-probabilities of the actions taken, by a table."""
    return log_probs[states_of(batch)[0], batch.transitions.action]


def entropies(log_probs: np.ndarray, batch: Rollout) -> np.ndarray:
    """``[T, B]`` entropies of a table's policy."""
    return -np.sum(np.exp(log_probs) * log_probs, -1)[states_of(batch)[0]]


def gradient(
    log_probs: np.ndarray, batch: Rollout, of_log_prob: np.ndarray, of_value: np.ndarray, of_entropy: float = 0.0
) -> dict[str, np.ndarray]:
    """Gradient of a mean over the real steps, whose terms have these slopes ``[T, B]`` in the log-probability of the
    action taken and in the value, and one slope in the entropy."""
    state, action = states_of(batch)[0], batch.transitions.action
    real = np.ones((T, B)) if batch.valid is None else batch.valid.astype(float)
    logp = log_probs[state]
    p, entropy = np.exp(logp), entropies(log_probs, batch)
    logits = of_log_prob[..., None] * (np.eye(ACTIONS)[action] - p) - of_entropy * p * (logp + entropy[..., None])
    actor, critic = np.zeros((STATES, ACTIONS)), np.zeros((STATES, 1))
    np.add.at(actor, state, logits * (real / real.sum())[..., None])
    np.add.at(critic, state, (of_value * real / real.sum())[..., None])
    return {"actor": actor, "critic": critic}


def moves(new: Any, old: Any, side: str) -> tuple[np.ndarray, np.ndarray]:
    """The changes of the kernel and of the bias of a side's only layer."""
    (layers,) = zip(*(p[side]["params"].values() for p in (new, old)), strict=True)
    a, b = (layer["Dense_0"] for layer in layers)
    return tuple(np.asarray(a[name]) - np.asarray(b[name]) for name in ("kernel", "bias"))


def assert_moved(new: Any, old: Any, step: dict[str, np.ndarray], rtol: float = 1e-3, atol: float = 2e-5) -> None:
    """Actor and critic moved by ``-step``, a table ``[S, n]`` for each; the bias by that of all states together."""
    for side, table in step.items():
        kernel, bias = moves(new, old, side)
        np.testing.assert_allclose(kernel, -table, rtol=rtol, atol=atol)
        np.testing.assert_allclose(bias, -table.sum(0), rtol=rtol, atol=atol)
