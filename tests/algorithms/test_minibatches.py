"""Passes over a rollout in minibatches: items, sequences, parts, and what steers a descent."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxrl.algorithms import minibatches
from jaxrl.random import minibatch_indices


@pytest.mark.parametrize("num_minibatches", [1, 3])
def test_items_keep_the_parameters_of_their_last_step(rng, key, num_minibatches):
    x, rate, epochs = rng.normal(size=6).astype(np.float32), 0.1, 3
    # Gradient descent on (p - x)^2 / 2, where each item keeps p; what is told is the mean distance from it.
    loss = lambda p, batch: (0.5 * jnp.mean((p - batch[0]) ** 2), {"moved": jnp.mean(p - batch[1])})
    memory = minibatches.Memory(jnp.full(6, 2.0), lambda b, kept: (b[0], kept), lambda p, b: jnp.full_like(b[0], p))
    got = minibatches.descend(
        loss, optax.identity(), jnp.float32(2.0), optax.identity().init(0), (jnp.asarray(x),) * 2, key,
        minibatches.Passes(epochs, num_minibatches), learning_rate=rate, max_grad_norm=None, memory=memory,
    )  # fmt: skip

    p, kept, moved = 2.0, np.full(6, 2.0), []
    order = np.asarray(minibatch_indices(key, 6, epochs, num_minibatches))
    for indices in order if num_minibatches > 1 else [np.arange(6)] * epochs:
        moved.append(np.mean(p - kept[indices]))
        kept[indices] = p
        p -= rate * np.mean(p - x[indices])
    np.testing.assert_allclose(got.params, p, rtol=1e-5)
    np.testing.assert_allclose(got.metrics["moved"], np.mean(moved), rtol=1e-4)
    assert jax.tree.leaves(got.control) == []


def test_a_sequence_is_of_consecutive_steps_of_one_environment():
    steps = np.arange(8)[:, None] * 10 + np.arange(3)
    got = minibatches.sequences(steps, 4)
    want = [[t * 10 + b for t in range(start, start + 4)] for start in (0, 4) for b in range(3)]
    np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(minibatches.time_major(got), np.transpose(want))
    np.testing.assert_array_equal(minibatches.items(steps), steps.ravel())


def test_a_part_counts_by_its_real_steps(key):
    """Gradients and metrics of parts of two items add up to the mean over the real ones."""
    x, real = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0], np.float32), np.array([1, 1, 1, 0, 0, 0], bool)

    def loss(p, part):
        value = jnp.sum(jnp.where(part[1], p * part[0], 0)) / jnp.maximum(jnp.sum(part[1]), 1)
        return value, {"loss": value}

    descend = lambda data: minibatches.descend(
        loss, optax.identity(), jnp.float32(3.0), optax.identity().init(0), data, key, minibatches.Passes(1, 1, 2),
        learning_rate=1.0, max_grad_norm=None, valid=lambda part: part[1],
    )  # fmt: skip
    got = jax.jit(descend)((x, real))
    np.testing.assert_allclose(got.params, 3 - 7 / 3, rtol=1e-6)
    np.testing.assert_allclose(got.metrics["loss"], 3 * 7 / 3, rtol=1e-6)


def test_a_control_is_told_of_an_epochs_last_step_and_stops_the_ones_after(key):
    """Three epochs of two minibatches; it goes on while fewer than five steps have been judged."""

    def step(seen, metrics, last):
        ends, judged = seen
        return (ends.at[judged].set(last), judged + 1), jnp.float32(1.0), judged < 4

    descend = lambda x: minibatches.descend(
        lambda p, batch: (p, {"p": p}), optax.identity(), jnp.float32(0.0), optax.identity().init(0), x, key,
        minibatches.Passes(3, 2), learning_rate=9.0, max_grad_norm=None,
        control=minibatches.Control((jnp.zeros(6, bool), 0), step),
    )  # fmt: skip
    got = jax.jit(descend)(jnp.zeros(4))
    np.testing.assert_array_equal(got.control[0], [False, True] * 3)
    assert got.params == -4.0
    # Before each of the five steps that count, the last of which was not made: 0, -1, -2, -3, -4.
    assert got.metrics["p"] == -2.0
