"""Recurrent cells over sequences that hold parts of several episodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxrl.networks.images import ConvSettings
from jaxrl.networks.initializers import Initializer, orthogonal
from jaxrl.networks.torsos import MLP, Torso

Array = jax.Array
PyTree = Any

CELLS = ("none", "lstm", "gru")


class Recurrent(nn.Module):
    """An LSTM or a GRU over ``[T, B, n]``; the state is zero where an episode begins.

    What is made of the inputs is made for all steps at once; only the product with the state is in the loop.

    LSTM: ``i, f, g, o = W x + U h + b``, ``c <- sigmoid(f) c + sigmoid(i) tanh(g)``, ``h <- sigmoid(o) tanh(c)``. The
        bias of ``f`` starts at 1, so that memory is kept before it is learned what to keep. GRU: ``r, z = sigmoid(W x +
        U h + b)``, ``n = tanh(W_n x + b_n + r (U_n h + d_n))``, ``h <- (1 - z) n + z h``.

    Attributes:
        cell: ``lstm`` or ``gru``.
        size: width of the state and of the output.
        layer_norm: whether to normalise the output.

    Source: Hochreiter & Schmidhuber 1997 with the forget gate of Gers et al. 2000; Cho et al. 2014 (arXiv 1406.1078) in
    the variant of cuDNN; Jozefowicz et al. 2015 for the bias.
    """

    cell: str
    size: int
    layer_norm: bool = False

    @nn.compact
    def __call__(self, x: Array, carry: PyTree, begins: Array | None = None) -> tuple[Array, PyTree]:
        """Run over a sequence.

        Args:
            x: ``[T, B, n]``.
            carry: the state before the first step, ``[B, size]`` leaves (``initial_carry``).
            begins: ``[T, B]`` booleans, true at the first step of an episode: there the state is zero. None if there
                is none.

        Returns:
            Outputs ``[T, B, size]`` and the state after the last step.
        """
        gates = 4 if self.cell == "lstm" else 3
        init = orthogonal(1.0)
        kernel = self.param("recurrent_kernel", _stacked(init, gates), (self.size, gates * self.size))
        bias_init = _forget_bias(self.size) if self.cell == "lstm" else nn.initializers.zeros
        inputs = nn.Dense(gates * self.size, kernel_init=_stacked(init, gates), bias_init=bias_init)(x)
        if self.cell == "lstm":
            step = lambda carry, x: _lstm(carry, x, kernel)
        else:
            bias = self.param("recurrent_bias", nn.initializers.zeros, (self.size,))
            step = lambda carry, x: _gru(carry, x, kernel, bias)

        def resetting(carry, x):
            inputs, begins = x
            carry = jax.tree.map(lambda c: jnp.where(begins[:, None], 0.0, c), carry)
            return step(carry, inputs)

        xs, body = (inputs, step) if begins is None else ((inputs, begins), resetting)
        if inputs.shape[0] == 1:
            carry, y = body(carry, jax.tree.map(lambda x: x[0], xs))
            y = y[None]
        else:
            carry, y = jax.lax.scan(body, carry, xs)
        return (nn.LayerNorm()(y) if self.layer_norm else y), carry


class RecurrentTorso(nn.Module):
    """Convolutions, if there are any, then dense layers and a recurrent cell, in either order.

    Attributes:
        kind, hidden_sizes, activation, kernel_init: of ``Torso``.
        cell, size, layer_norm: of ``Recurrent``.
        before_mlp: whether the cell comes before the dense layers.
        concat_input: whether a cell behind the dense layers also gets what goes into them.
        concat_output: whether what follows the cell also gets the features that the torso begins with, which are the
            observation's, or what the convolutions make of it.
        layers: cells, of which each gets the output of the one before; the last one's is normalised.
        torso_layer_norm, d2rl, convolutions: of ``Torso``.
    """

    kind: str
    hidden_sizes: Sequence[int]
    activation: str
    kernel_init: Initializer
    cell: str
    size: int
    layer_norm: bool = False
    before_mlp: bool = False
    concat_input: bool = False
    torso_layer_norm: bool = False
    d2rl: bool = False
    convolutions: ConvSettings = ConvSettings()
    concat_output: bool = False
    layers: int = 1

    @nn.compact
    def __call__(self, x: Any, carry: PyTree, begins: Array | None = None) -> tuple[Array, PyTree]:
        dense = MLP(self.hidden_sizes, self.activation, self.kernel_init, self.torso_layer_norm, self.d2rl)
        settings = self.activation, self.kernel_init, self.torso_layer_norm
        x = Torso(self.kind, (), *settings, convolutions=self.convolutions)(x)
        y = x if self.before_mlp else dense(x)
        if self.concat_input and not self.before_mlp:
            y = jnp.concatenate([y, x], axis=-1)
        before, after = ([carry] if self.layers == 1 else carry), []
        for i, state in enumerate(before):
            last = i == self.layers - 1
            y, state = Recurrent(self.cell, self.size, self.layer_norm and last)(y, state, begins)
            after.append(state)
        if self.concat_output:
            y = jnp.concatenate([y, x], axis=-1)
        return (dense(y) if self.before_mlp else y), after[0] if self.layers == 1 else tuple(after)


def initial_carry(cell: str, size: int, batch_size: int, layers: int = 1) -> PyTree:
    """The state at the start of an episode: zeros ``[B, size]``, two of them for an LSTM (cell and output); of several
    layers a tuple of such."""
    zeros = jnp.zeros((batch_size, size))
    state = (zeros, zeros) if cell == "lstm" else zeros
    return state if layers == 1 else (state,) * layers


def _lstm(carry: tuple[Array, Array], x: Array, kernel: Array) -> tuple[tuple[Array, Array], Array]:
    c, h = carry
    i, f, g, o = jnp.split(x + h @ kernel, 4, axis=-1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    h = jax.nn.sigmoid(o) * jnp.tanh(c)
    return (c, h), h


def _gru(h: Array, x: Array, kernel: Array, bias: Array) -> tuple[Array, Array]:
    size = h.shape[-1]
    u = h @ kernel
    r, z = jnp.split(jax.nn.sigmoid(x[..., : 2 * size] + u[..., : 2 * size]), 2, axis=-1)
    n = jnp.tanh(x[..., 2 * size :] + r * (u[..., 2 * size :] + bias))
    h = (1 - z) * n + z * h
    return h, h


def _stacked(initializer: Initializer, gates: int) -> Initializer:
    """Each gate's kernel is drawn by itself."""

    def init(key, shape, dtype=jnp.float32):
        each = (shape[0], shape[1] // gates)
        return jnp.concatenate([initializer(k, each, dtype) for k in jax.random.split(key, gates)], axis=1)

    return init


def _forget_bias(size: int) -> Initializer:
    return lambda key, shape, dtype=jnp.float32: jnp.zeros(shape, dtype).at[size : 2 * size].set(1.0)
