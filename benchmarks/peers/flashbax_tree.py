"""Contender: flashbax's sum-tree in a scan that sets 256 values, adds one and samples 256 items."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flashbax.buffers import sum_tree
from protocol import compiled, parameters, serve

BATCH_SIZE = 256


def main() -> None:
    wanted = parameters()
    capacity, iterations = wanted["capacity"], wanted["iterations"]
    set_batch = {"bincount": sum_tree.set_batch_bincount, "scan": sum_tree.set_batch_scan}[wanted["set"]]

    def step(carry, key):
        tree, indices, values, position = carry
        tree = set_batch(tree, indices, values)
        tree = sum_tree.set_non_batched(tree, position, jnp.float32(1.0))
        indices = sum_tree.stratified_sample(tree, BATCH_SIZE, key)
        values = 0.9 * sum_tree.get_batch(tree, indices) + 0.1 * jnp.abs(jnp.sin(indices * 1.0))
        return (tree, indices, values, (position + 1) % capacity), None

    def run(carry, key):
        return jax.lax.scan(step, carry, jax.random.split(key, iterations))[0]

    tree = sum_tree.init(capacity)
    tree = jax.jit(sum_tree.set_batch_bincount)(tree, jnp.arange(capacity), jnp.ones(capacity))
    carry = tree, jnp.arange(BATCH_SIZE), jnp.ones(BATCH_SIZE), jnp.int32(0)
    program, seconds = compiled(jax.jit(run, donate_argnums=0), carry, jax.random.key(0))

    def work() -> int:
        nonlocal carry
        carry = jax.block_until_ready(program(carry, jax.random.key(1)))
        return iterations

    serve(work, compile_seconds=seconds, packages=("jax", "flashbax"))


if __name__ == "__main__":
    main()
