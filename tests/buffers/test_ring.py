import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxrl.buffers.ring import (
    Ring,
    distinct_below,
    following_places,
    holds,
    multiply_high,
    newest_places,
    uniform_below,
)

RINGS = [(0, 0), (3, 3), (0, 5), (2, 5), (1, 3), (4, 1)]
"""Rings of 5 steps, as (position, filled): empty, begun, full, wrapped, and with their oldest given up."""


def _held(position, filled, steps=5):
    """The steps held, the oldest first."""
    return [(position - filled + i) % steps for i in range(filled)]


def test_following_places_are_those_of_the_same_environment_up_to_the_newest():
    ring = Ring(*np.array(RINGS, np.int32).T)
    num_envs, held = len(RINGS), [_held(*r) for r in RINGS]
    starts = [(env, i) for env in range(num_envs) for i in range(len(held[env]))]
    places = np.array([held[env][i] * num_envs + env for env, i in starts], np.int32)
    window, count = (np.asarray(x) for x in following_places(ring, 5, places, 3))
    assert window.shape == (len(starts), 3)
    for row, n, (env, i) in zip(window, count, starts, strict=True):
        expected = [step * num_envs + env for step in held[env][i : i + 3]]
        assert row[:n].tolist() == expected


def test_a_place_is_held_where_its_ring_holds_its_step():
    num_envs = len(RINGS)
    expected = [step in _held(*RINGS[env]) for step in range(5) for env in range(num_envs)]
    places = jnp.arange(-4, 5 * num_envs + 4)
    got = holds(Ring(*np.array(RINGS, np.int32).T), 5, places)
    assert got.tolist() == [False] * 4 + expected + [False] * 4


def test_the_newest_place_is_the_last_written_and_beyond_the_end_where_nothing_is():
    num_envs = len(RINGS)
    places = newest_places(Ring(*np.array(RINGS, np.int32).T), 5)
    newest = [_held(*ring)[-1] if ring[1] else 5 for ring in RINGS]
    assert places.tolist() == [step * num_envs + env for env, step in enumerate(newest)]


def test_multiply_high_is_exact(rng):
    edges = [0, 1, 2, 0xFFFF, 0x10000, 0x10001, 0x7FFFFFFF, 0x80000000, 0xFFFF0000, 0xFFFFFFFE, 0xFFFFFFFF]
    numbers = np.array(edges + rng.integers(0, 2**32, 200).tolist(), np.uint32)
    a, b = (x.ravel() for x in np.meshgrid(numbers, numbers))
    got = jax.jit(multiply_high)(a, b)
    assert got.dtype == np.uint32
    np.testing.assert_array_equal(got, [(int(x) * int(y)) >> 32 for x, y in zip(a, b, strict=True)])


@pytest.mark.parametrize("bound", [1, 7, 1000, 2**31 - 1])
def test_uniform_below_is_uniform_over_its_whole_range(key, bound):
    n = 20_000
    got = np.asarray(uniform_below(key, n, jnp.asarray(bound, jnp.int32)))
    assert got.dtype == np.int32
    assert got.min() >= 0
    assert got.max() < bound
    bins = min(bound, 10)
    expected = np.diff([-(-bound * i // bins) for i in range(bins + 1)]) / bound * n
    counts = np.bincount(got.astype(np.int64) * bins // bound, minlength=bins)
    statistic = np.sum((counts - expected) ** 2 / expected)
    assert statistic <= stats.chi2.ppf(0.999, bins - 1) if bins > 1 else counts[0] == n


@pytest.mark.parametrize(("bound", "n"), [(8, 8), (9, 8), (23, 8), (1000, 7), (2**30, 64), (5, 1)])
def test_distinct_below_never_repeats_and_favours_none(key, bound, n):
    draw = jax.jit(jax.vmap(lambda key: distinct_below(key, n, jnp.asarray(bound, jnp.int32))))
    got = np.sort(np.asarray(draw(jax.random.split(key, 4_000))), axis=1)
    assert got.min() >= 0 and got.max() < bound
    assert np.all(np.diff(got, axis=1) > 0)
    if bound == n:
        return
    bins = min(bound, 10)
    counts = np.bincount(got.ravel().astype(np.int64) * bins // bound, minlength=bins)
    expected = np.diff([-(-bound * i // bins) for i in range(bins + 1)]) / bound * got.size
    # At most as far from the expectation as independent draws would be.
    assert np.sum((counts - expected) ** 2 / expected) <= stats.chi2.ppf(0.999, bins - 1)


def test_distinct_below_of_fewer_than_are_wanted_takes_all(key):
    assert set(np.asarray(distinct_below(key, 50, jnp.int32(3))).tolist()) == {0, 1, 2}


def test_the_turn_of_distinct_numbers_does_not_depend_on_what_is_turned(key):
    draw = jax.jit(jax.vmap(lambda key: distinct_below(key, 8, jnp.int32(24))[0]))
    counts = np.bincount(draw(jax.random.split(key, 6000)), minlength=24)
    assert stats.chisquare(counts).pvalue > 1e-3
