"""Initialisers of kernels, by name too, that may run for many seeds at once."""

from __future__ import annotations

import math
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxrl.validation import did_you_mean, require

Array = jax.Array
Initializer = Callable[..., Array]


def orthogonal(scale: float = 1.0) -> Initializer:
    """Flax's initialiser with (semi-)orthogonal kernels, times ``scale``; under ``vmap`` one matrix after the other.

    On a CPU JAX shares the QR decompositions of a batch out to XLA's threads, and waits for them in such a thread. When
    each thread is in such a wait, for the kernels of several layers at once, none is left to do the work, and the
    program stops for ever: four threads, twelve layers and eight seeds were enough. A loop over the batch has no such
    wait and gives the same numbers.

    Source: Saxe et al. 2014 (arXiv 1312.6120), section 2.
    """
    of_flax = nn.initializers.orthogonal(scale)

    def initialise(key: Array, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32) -> Array:
        return jax.custom_batching.sequential_vmap(lambda key: of_flax(key, shape, dtype))(key)

    return initialise


def symmetric_uniform(bound: float) -> Initializer:
    """Uniform in ``[-bound, bound]``."""
    return lambda key, shape, dtype=jnp.float32: jax.random.uniform(key, shape, dtype, -bound, bound)


def _scaled(scale: float, mode: str, distribution: str) -> Callable[[float], Initializer]:
    return lambda gain: nn.initializers.variance_scaling(scale * gain**2, mode, distribution)


INITIALIZERS: dict[str, Callable[[float], Initializer]] = {
    "lecun_normal": _scaled(1.0, "fan_in", "truncated_normal"),
    "lecun_uniform": _scaled(1.0, "fan_in", "uniform"),
    "glorot_normal": _scaled(1.0, "fan_avg", "truncated_normal"),
    "glorot_uniform": _scaled(1.0, "fan_avg", "uniform"),
    "kaiming_normal": _scaled(2.0, "fan_in", "truncated_normal"),
    "kaiming_uniform": _scaled(2.0, "fan_in", "uniform"),
    "orthogonal": orthogonal,
    "normal": nn.initializers.normal,
    "uniform": symmetric_uniform,
    "constant": nn.initializers.constant,
}
"""Initialisers of kernels by name, each a function of a gain that multiplies the weights. Of ``normal`` it is the
deviation, of ``uniform`` the bound, of ``constant`` every weight."""


def initializer(text: str, default: Initializer, field: str = "kernel_init") -> Initializer:
    """What a field of a configuration asks for.

    Args:
        text: ``default``, or a name of ``INITIALIZERS``, with a gain if it is not 1: ``orthogonal(1.4142)``.
        default: what ``default`` stands for.
        field: its name, for errors.

    Raises:
        ValueError: if it is neither.

    Source: LeCun et al. 1998, Glorot & Bengio 2010, He et al. 2015 (arXiv 1502.01852), Saxe et al. 2014 (arXiv
        1312.6120).
    """
    require(isinstance(text, str), field, text, "must be a name, such as default or orthogonal(1.4142)")
    name, bracket, rest = text.partition("(")
    try:
        gain = float(rest.removesuffix(")")) if bracket else 1.0
    except ValueError:
        gain = 0.0
    whole = rest.endswith(")") if bracket else True
    require(
        whole and 0 < gain < math.inf and (name in INITIALIZERS or text == "default"), field, text,
        f"must be default or one of {', '.join(INITIALIZERS)}, or such a name with a gain: orthogonal(1.4142)"
        f"{did_you_mean(name, ('default', *INITIALIZERS))}",
    )  # fmt: skip
    return default if text == "default" else INITIALIZERS[name](gain)
