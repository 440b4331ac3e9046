import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

from jaxrl.schedules import Schedule, linear, piecewise, resolve


@pytest.mark.parametrize(("steps", "expected"), [(0, 1.0), (25, 0.8), (50, 0.6), (100, 0.2), (101, 0.2), (10**9, 0.2)])
def test_linear_in_steps(steps, expected):
    # The fraction must not matter.
    np.testing.assert_allclose(linear(1.0, 0.2, steps=100)(steps, 0.77), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("fraction", "expected"), [(0.0, 1.0), (0.125, 0.5), (0.25, 0.0), (0.5, 0.0), (1.0, 0.0), (1.5, 0.0)]
)
def test_linear_in_the_fraction_of_the_run(fraction, expected):
    np.testing.assert_allclose(linear(1.0, 0.0, fraction=0.25)(77, fraction), expected, rtol=1e-6)


@pytest.mark.parametrize(("steps", "expected"), [(0, 2.0), (10, 2.0), (15, 3.0), (20, 4.0), (30, 4.0)])
def test_a_delay_stays_at_the_start_first(steps, expected):
    np.testing.assert_allclose(linear(2.0, 4.0, steps=10, delay=10)(steps, 0.0), expected, rtol=1e-6)


@pytest.mark.parametrize("arguments", [{}, {"steps": 10, "fraction": 0.1}])
def test_linear_needs_exactly_one_length(arguments):
    with pytest.raises(ValueError, match="exactly one of steps= and fraction="):
        linear(1.0, 0.0, **arguments)


@pytest.mark.parametrize("arguments", [{"steps": 0}, {"steps": -5}, {"fraction": 0.0}])
def test_a_ramp_needs_a_positive_length(arguments):
    with pytest.raises(ValueError, match="must be positive"):
        linear(1.0, 0.0, **arguments)


@pytest.mark.parametrize(("t", "expected"), [(-1, 1.0), (0, 1.0), (5, 0.5), (10, 0.0), (15, 4.0), (20, 8.0), (30, 8.0)])
def test_piecewise(t, expected):
    points = [(0, 1.0), (10, 0.0), (20, 8.0)]
    np.testing.assert_allclose(piecewise(points)(t, 0.0), expected, rtol=1e-6, atol=1e-7)
    as_fractions = piecewise([(time / 20, value) for time, value in points], fraction=True)
    np.testing.assert_allclose(as_fractions(0.0, t / 20), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("values", [(1.0, 1e-6), (0.3, 0.1, 0.0), (0.0, 0.7, 1e-3, 0.3)])
def test_every_point_is_met_exactly(values):
    """Not one rounding beside it: a rate that should be zero at last must not be negative."""
    schedule = piecewise([(10 * i, value) for i, value in enumerate(values)])
    for i, value in enumerate(values):
        assert schedule(10 * i, 0.0) == np.float32(value)
    assert schedule(10**6, 0.0) == np.float32(values[-1])
    assert schedule(-1, 0.0) == np.float32(values[0])


@pytest.mark.parametrize("points", [[(0, 1.0), (0, 2.0)], [(5, 1.0), (0, 2.0)]])
def test_piecewise_needs_increasing_times(points):
    with pytest.raises(ValueError, match="increasing times"):
        piecewise(points)


@struct.dataclass
class Numbers:
    """Hyper-parameters as the algorithms have them."""

    rate: object
    epsilon: object
    plain: object = 3.0


def test_resolve_replaces_the_schedules_and_nothing_else():
    hp = Numbers(linear(1.0, 0.0, fraction=1.0), {"nested": linear(0.0, 10.0, steps=100)}, 5)
    got = resolve(hp, 50, 0.75)
    np.testing.assert_allclose(got.rate, 0.25)
    np.testing.assert_allclose(got.epsilon["nested"], 5.0)
    assert got.plain == 5
    assert isinstance(hp.rate, Schedule)


def test_resolve_inside_jit_compiles_once_for_other_steps_and_other_values():
    traces = []

    @jax.jit
    def value(hp, steps):
        traces.append(1)
        return resolve(hp, steps, steps / 100).rate

    for start, steps, expected in [(1.0, 0, 1.0), (1.0, 50, 0.5), (4.0, 25, 3.0)]:
        hp = Numbers(linear(start, 0.0, steps=100), 0.1)
        np.testing.assert_allclose(value(hp, jnp.asarray(steps, jnp.int32)), expected)
    assert len(traces) == 1


def test_a_batch_of_schedules_is_vmapped():
    starts, lengths = np.array([1.0, 2.0, 4.0], np.float32), np.array([10.0, 20.0, 40.0], np.float32)
    batch = jax.vmap(lambda start, length: linear(start, 0.0, steps=length))(starts, lengths)
    got = jax.jit(jax.vmap(lambda hp: resolve(hp, 10, 0.0).rate))(Numbers(batch, jnp.zeros(3), jnp.zeros(3)))
    np.testing.assert_allclose(got, [0.0, 1.0, 3.0], atol=1e-7)


def test_a_sweep_over_one_end_of_a_schedule():
    hp = Numbers(Schedule((0.0, 1.0), (jnp.array([1.0, 3.0]), 0.0), fraction=True), 0.0)
    axes = Numbers(Schedule((None, None), (0, None), fraction=True), None, None)
    got = jax.vmap(lambda hp: resolve(hp, 0, 0.5).rate, (axes,))(hp)
    np.testing.assert_allclose(got, [0.5, 1.5])
