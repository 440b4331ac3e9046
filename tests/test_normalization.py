import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl import normalization
from jaxrl.counters import Counter


def test_batches_merge_to_the_statistics_of_all(rng):
    data = {"a": rng.normal(3, 2, (60, 4)).astype(np.float32), "b": rng.normal(-1, 0.1, 60).astype(np.float32)}
    statistics = normalization.init({"a": jnp.zeros(4), "b": jnp.zeros(())})
    for low, high in ((0, 1), (1, 20), (20, 20 + 5), (25, 60)):
        batch = {k: x[low:high] for k, x in data.items()}
        statistics = jax.jit(normalization.update)(statistics, batch)
    assert int(statistics.count) == 60
    for name, x in data.items():
        np.testing.assert_allclose(statistics.mean[name], x.mean(0), rtol=1e-5)
        np.testing.assert_allclose(statistics.variance[name], x.var(0), rtol=1e-4)


def test_a_far_mean_costs_no_precision(rng):
    x = (1e4 + rng.normal(size=(100, 32, 1))).astype(np.float32)
    statistics = jax.lax.scan(
        lambda s, batch: (normalization.update(s, batch), None), normalization.init(jnp.zeros(1)), x
    )[0]
    np.testing.assert_allclose(statistics.variance, x.astype(np.float64).var(), rtol=0.01)


def test_items_count_beyond_what_a_float_can_count():
    """2^24 + 1 is no float32: single items would never be counted from there on."""
    start = normalization.init(jnp.zeros(()))._replace(count=Counter.of(2**33))
    one = jax.jit(normalization.update)
    got = one(one(start, jnp.ones(1)), jnp.ones(1))
    assert int(got.count) == 2**33 + 2


def test_masked_items_do_not_count(rng):
    x, mask = rng.normal(size=(7, 5, 3)).astype(np.float32), rng.random((7, 5)) < 0.5
    got = normalization.update(normalization.init(jnp.zeros(3)), x, mask)
    assert int(got.count) == mask.sum()
    np.testing.assert_allclose(got.mean, x[mask].mean(0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(got.variance, x[mask].var(0), rtol=1e-4)
    none = normalization.update(got, x, np.zeros_like(mask))
    np.testing.assert_array_equal(none.mean, got.mean)
    np.testing.assert_array_equal(none.variance, got.variance)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("batch", [(7, 6), (13,), (1,)])
def test_large_items_are_added_up_alike(rng, batch, masked):
    """Bytes too, whose sums are of floats."""
    size = normalization.LARGE
    x = {"bytes": rng.integers(0, 255, (*batch, size)).astype(np.uint8), "floats": rng.normal(9, 2, (*batch, 2, size))}
    mask = np.ones(batch, bool)
    mask[..., 0] = len(batch) == 1 or not masked
    start = normalization.init(jax.tree.map(lambda x: jnp.zeros(x.shape[len(batch) :]), x))
    got = jax.jit(normalization.update)(start, x, mask if masked else None)
    for name in x:
        np.testing.assert_allclose(got.mean[name], x[name][mask].mean(0), rtol=1e-5)
        np.testing.assert_allclose(got.variance[name], x[name][mask].var(0), rtol=1e-4, atol=1e-6)


def test_before_the_first_batch_nothing_changes(rng):
    x = rng.normal(size=(5, 3)).astype(np.float32)
    np.testing.assert_allclose(normalization.apply(normalization.init(jnp.zeros(3)), x), x, rtol=1e-6)
    bytes_ = np.array([0, 51, 255], np.uint8)
    np.testing.assert_allclose(normalization.apply(normalization.init(bytes_), bytes_), [0, 0.2, 1], rtol=1e-6)


def test_apply_and_undo(rng):
    x = rng.normal(5, 3, (50, 2)).astype(np.float32)
    statistics = normalization.update(normalization.init(jnp.zeros(2)), x)
    y = normalization.apply(statistics, x)
    np.testing.assert_allclose(y, (x - x.mean(0)) / x.std(0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(normalization.undo(statistics, y), x, rtol=1e-4)
    assert np.abs(normalization.apply(statistics, x, clip=0.5)).max() == 0.5


@pytest.mark.parametrize("masked", [False, True])
def test_shards_give_the_statistics_of_the_whole(rng, masked):
    x, mask = rng.normal(2, 3, (4, 6, 2)).astype(np.float32), rng.random((4, 6)) < 0.7
    start = normalization.init(jnp.zeros(2))
    mask = mask if masked else None
    shards = jax.vmap(
        lambda x, m: normalization.update(start, x, m, "i"), in_axes=(0, 0 if masked else None), axis_name="i"
    )(x, mask)
    whole = normalization.update(start, x, mask)
    jax.tree.map(lambda s, w: np.testing.assert_allclose(s, np.broadcast_to(w, s.shape), rtol=1e-5), shards, whole)


def test_discounted_sums_against_a_loop(rng):
    reward, ended = rng.normal(size=(9, 3)).astype(np.float32), rng.random((9, 3)) < 0.3
    start = rng.normal(size=3).astype(np.float32)
    total, want = start.copy(), []
    for r, e in zip(reward, ended, strict=True):
        total = 0.9 * total + r
        want.append(total)
        total = np.where(e, 0, total)
    last, got = normalization.discounted_sums(start, reward, ended, 0.9)
    np.testing.assert_allclose(got, want, rtol=1e-5)
    np.testing.assert_allclose(last, total, rtol=1e-5)


def test_undoing_gives_no_more_than_the_bound():
    statistics = normalization.Statistics(Counter.of(9), jnp.array([5.0]), jnp.array([4.0]))
    undone = normalization.undo(statistics, jnp.array([[-3.0], [0.5], [2.0]]), clip=1.5)
    np.testing.assert_allclose(undone, [[5 - 3], [5 + 1], [5 + 3]], rtol=1e-6)


def test_moving_averages_begin_with_the_first_batch_and_pass_over_empty_ones():
    update = jax.jit(lambda s, x, m: normalization.update(s, x, m, weight=0.25))
    some, none = np.array([True, True]), np.array([False, False])
    first = update(normalization.init(jnp.zeros(())), np.array([2.0, 4.0]), some)
    np.testing.assert_allclose([first.mean, first.variance, int(first.count)], [3, 1, 2])
    # The mean moves a quarter of the way to 7. The variance: 3/4 + 1/4 (0 + 3/4 4^2).
    second = update(first, np.array([7.0, 7.0]), some)
    np.testing.assert_allclose([second.mean, second.variance, int(second.count)], [4, 0.75 + 3, 4])
    jax.tree.map(np.testing.assert_array_equal, update(second, np.array([9.0, 9.0]), none), second)
    empty = update(normalization.init(jnp.zeros(())), np.array([9.0, 9.0]), none)
    np.testing.assert_allclose([empty.mean, empty.variance, int(empty.count)], [0, 1, 0])
