import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.algorithms.every import cond, every


def step(state, inputs):
    return state + inputs, {"seen": inputs}


def test_every_third_count_makes_a_step_whose_metrics_count_for_three():
    state, means = jnp.float32(0.0), []
    for count in range(1, 7):
        state, metrics = every(3, jnp.int32(count), step, state, jnp.float32(count))
        means.append(float(metrics["seen"]))
    assert state == 3 + 6
    assert means == [0, 0, 9, 0, 0, 18] and np.mean(means) == np.mean([3, 6])


@pytest.mark.parametrize("counts", [[0, 0, 0], [1, 1, 1], [0, 1, 2]])
def test_lanes_are_as_they_would_be_alone(counts):
    counts, state = jnp.array(counts), jnp.arange(3.0)
    one = lambda count, state: every(2, count, step, state, jnp.float32(5.0))
    together = jax.jit(jax.vmap(one))(counts, state)
    alone = [one(c, s) for c, s in zip(counts, state, strict=True)]
    jax.tree.map(np.testing.assert_array_equal, together, jax.tree.map(lambda *x: jnp.stack(x), *alone))


def test_what_no_lane_needs_is_not_computed():
    """Two nested maps, as of a sweep over seeds and a hyper-parameter."""
    made = []

    def expensive(x):
        jax.debug.callback(lambda x: made.append(float(x)), x)
        return x + 1.0

    run = jax.jit(jax.vmap(jax.vmap(lambda due, x: cond(due, expensive, lambda x: x, x)), (None, 0)))
    x = jnp.zeros((3, 2))
    np.testing.assert_array_equal(run(jnp.array([False, False]), x), x)
    jax.effects_barrier()
    assert made == []
    np.testing.assert_array_equal(run(jnp.array([False, True]), x), [[0, 1]] * 3)
    jax.effects_barrier()
    assert made
