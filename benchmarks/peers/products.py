"""Contender: products of large matrices alone, whose ``operations`` count as a step: the peak of what JAX reaches."""

import jax
import jax.numpy as jnp
from protocol import compiled, parameters, serve

SIZE = 2_048

wanted = parameters()
products = max(1, round(wanted["steps"] * wanted["operations"] / (2 * SIZE**3)))
# The largest eigenvalue is about 1: powers neither grow nor vanish.
matrix = jax.random.normal(jax.random.key(0), (SIZE, SIZE)) / SIZE**0.5
program, seconds = compiled(lambda x: jax.lax.fori_loop(0, products, lambda _, y: y @ x, jnp.eye(SIZE)), matrix)


def work() -> int:
    jax.block_until_ready(program(matrix))
    return round(products * 2 * SIZE**3 / wanted["operations"])


serve(work, compile_seconds=seconds, packages=("jax", "jaxlib"))
