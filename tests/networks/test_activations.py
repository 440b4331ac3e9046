import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.networks.activations import ACTIVATIONS, undone

FORMULAS = {
    "tanh": math.tanh,
    "relu": lambda x: max(x, 0.0),
    "elu": lambda x: x if x > 0 else math.exp(x) - 1,
    "selu": lambda x: 1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * (math.exp(x) - 1)),
    "silu": lambda x: x / (1 + math.exp(-x)),
    "swish": lambda x: x / (1 + math.exp(-x)),
    "gelu": lambda x: x * 0.5 * (1 + math.erf(x / math.sqrt(2))),
    "softplus": lambda x: math.log(1 + math.exp(x)),
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "identity": lambda x: x,
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_are_their_formulas(name):
    x = np.linspace(-3, 3, 13)
    # JAX's default GELU is the tanh approximation, which is this close.
    atol = 1e-3 if name == "gelu" else 1e-6
    np.testing.assert_allclose(ACTIVATIONS[name](jnp.asarray(x)), [FORMULAS[name](v) for v in x], rtol=1e-5, atol=atol)


REACHED = {
    "tanh": (-1.0, 1.0),
    "relu": (0.0, math.inf),
    "elu": (-1.0, math.inf),
    "selu": (-1.758, math.inf),
    "silu": (-0.278, math.inf),
    "swish": (-0.278, math.inf),
    "gelu": (-0.17, math.inf),
    "softplus": (0.0, math.inf),
    "sigmoid": (0.0, 1.0),
    "identity": (-math.inf, math.inf),
}
"""What each gives where it rises."""


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_what_gives_a_number_and_can_be_learned_from(name):
    low, high = REACHED[name]
    for y in (-30.0, -1.5, -1.0, -0.5, -0.2, -0.1, 0.0, 0.3, 0.9, 1.0, 2.0, 30.0):
        x = undone(name, y)
        assert (x is not None) == (low < y < high)
        if x is not None:
            value, slope = jax.value_and_grad(ACTIVATIONS[name])(x)
            np.testing.assert_allclose(value, y, rtol=1e-5, atol=1e-6)
            assert slope > 0.01
