import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.counters import Counter, Sum


def _counter(n):
    return Counter(jnp.asarray(n & 0xFFFFFFFF, jnp.uint32), jnp.asarray(n >> 32, jnp.uint32))


def test_it_starts_at_zero():
    assert int(Counter.zero()) == 0


@pytest.mark.parametrize(
    ("start", "n"),
    [
        (0, 0),
        (5, 7),
        (2**31 - 1, 1),
        (2**32 - 3, 2),
        (2**32 - 3, 3),
        (2**32 - 3, 5),
        (2**32 - 1, 2**32 - 1),
        (2**40 - 1, 1),
        (7, 2**31),
    ],
)
def test_it_counts_beyond_32_bits(start, n):
    for count in (n, np.uint32(n)):
        assert int(_counter(start).add(count)) == start + n
    assert int(jax.jit(Counter.add)(_counter(start), jnp.asarray(n, jnp.uint32))) == start + n


def test_many_additions_are_exact(rng):
    increments = rng.integers(0, 2**32, 500, dtype=np.uint32)
    count, _ = jax.jit(lambda xs: jax.lax.scan(lambda c, x: (c.add(x), None), Counter.zero(), xs))(increments)
    assert int(count) == sum(int(x) for x in increments) > 2**39


def test_signed_increments_are_taken_too():
    assert int(_counter(2**32 - 1).add(jnp.asarray(4, jnp.int32))) == 2**32 + 3


@pytest.mark.parametrize("n", [0, 1, 2**24, 2**32, 2**32 + 2**20, 3 * 2**40])
def test_as_float_is_the_count(n):
    assert _counter(n).as_float() == np.float32(n)
    assert _counter(n).as_float().dtype == jnp.float32


def test_a_batch_of_counters():
    counts = [2**32 - 1, 5, 2**33 + 1]
    batch = jax.tree.map(lambda *x: jnp.stack(x), *[_counter(n) for n in counts])
    after = jax.vmap(lambda c, n: c.add(n))(batch, jnp.array([1, 2, 3]))
    assert [int(Counter(*lane)) for lane in zip(*after, strict=True)] == [2**32, 7, 2**33 + 4]


@pytest.mark.parametrize(
    ("start", "end"), [(0, 0), (5, 9), (0, 2**40), (2**32 - 1, 2**32 + 2), (2**33 + 7, 2**34), (3, 2**31 + 3)]
)
def test_the_distance_to_an_end_is_cut_off(start, end):
    for at_most in (1, 64):
        got = jax.jit(Counter.until, static_argnums=2)(_counter(start), _counter(end), at_most)
        assert got == min(end - start, at_most) and got.dtype == jnp.int32


def test_counters_of_integers_arrays_and_counters():
    for n in (0, 2**31, 2**63 - 1):
        assert int(Counter.of(n)) == int(Counter.of(Counter.of(n))) == n
    assert int(Counter.of(jnp.int32(7))) == 7


def exact(total):
    return sum(int(word) for word in np.asarray(total.words, np.float64))


@pytest.mark.parametrize("start", [0, 2**24, 2**31, 2**48, 2**53])
@pytest.mark.parametrize("item", [1.0, 500.0])
def test_sums_stay_exact_far_beyond_24_bits(start, item):
    """300,000 additions, of which a float32 would lose all or drift by percents."""
    add = jax.jit(lambda total, n: jax.lax.fori_loop(0, n, lambda _, t: t.add(jnp.float32(item)), total))
    total = add(Sum(jnp.array([start, 0.0, 0.0], jnp.float32)), 300_000)
    assert exact(total) == start + 300_000 * int(item)
    np.testing.assert_allclose(total.as_float(), start + 300_000 * item, rtol=1e-7)


def test_sums_of_any_numbers_keep_more_than_48_bits(rng):
    items = (rng.normal(size=(1000, 2)) * 10.0 ** rng.integers(-3, 7, (1000, 2))).astype(np.float32)
    total = jax.jit(lambda xs: jax.lax.scan(lambda t, x: (t.add(x), None), Sum.zero((2,)), xs)[0])(items)
    got = np.asarray(total.words, np.float64).sum(0)
    np.testing.assert_allclose(got, items.astype(np.float64).sum(0), rtol=1e-14, atol=1e-8)
