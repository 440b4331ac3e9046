"""Activations by name, and how to undo them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

Array = jax.Array

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "elu": jax.nn.elu,
    "selu": jax.nn.selu,
    "silu": jax.nn.silu,
    "swish": jax.nn.silu,
    "gelu": jax.nn.gelu,
    "softplus": jax.nn.softplus,
    "sigmoid": jax.nn.sigmoid,
    "identity": lambda x: x,
}


class Rise(NamedTuple):
    """Where an activation rises, on the host."""

    formula: Callable[[float], float]
    low: float = -math.inf
    """What it is above there,"""
    high: float = math.inf
    """and below."""
    start: float = -50.0
    """From where on it rises; before, it falls or is as good as flat."""


_sigmoid = lambda x: 1.0 / (1.0 + math.exp(-x))
_silu = Rise(lambda x: x * _sigmoid(x), -0.27846, start=-1.27846)
_SELU = 1.0507009873554805, 1.6732632423543772
RISES: dict[str, Rise] = {
    "tanh": Rise(math.tanh, -1.0, 1.0),
    "relu": Rise(lambda x: max(x, 0.0), 0.0, start=0.0),
    "elu": Rise(lambda x: x if x > 0 else math.expm1(x), -1.0),
    "selu": Rise(lambda x: _SELU[0] * (x if x > 0 else _SELU[1] * math.expm1(x)), -_SELU[0] * _SELU[1]),
    "silu": _silu,
    "swish": _silu,
    "gelu": Rise(
        lambda x: 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x))), -0.17, start=-0.75246
    ),
    "softplus": Rise(lambda x: max(x, 0.0) + math.log1p(math.exp(-abs(x))), 0.0),
    "sigmoid": Rise(_sigmoid, 0.0, 1.0),
}
"""Of each of ``ACTIVATIONS`` but the identity: formulas without JAX, since configurations are made before it starts."""


def undone(name: str, y: float) -> float | None:
    """The number, on the host, that an activation makes ``y`` of and near which it rises; None if there is none."""
    if name == "identity":
        return y
    formula, below, above, low = RISES[name]
    if not below < y < above:
        return None
    high = 50.0 + 2.0 * abs(y)
    for _ in range(100):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if formula(middle) < y else (low, middle)
    return high
