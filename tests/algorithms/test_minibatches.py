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
