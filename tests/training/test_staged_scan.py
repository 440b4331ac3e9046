import importlib
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.training.staged_scan import divide, staged_scan

STEPS = 6


def _plain(tree):
    """Typed keys as their data, so that trees can be compared."""
    is_key = lambda x: jax.dtypes.issubdtype(jnp.asarray(x).dtype, jax.dtypes.prng_key)
    return jax.tree.map(lambda x: np.asarray(jax.random.key_data(x) if is_key(x) else x), tree)


def _assert_same(got, want):
    assert jax.tree.structure(got) == jax.tree.structure(want)
    for g, w in zip(jax.tree.leaves(_plain(got)), jax.tree.leaves(_plain(want)), strict=True):
        assert g.dtype == w.dtype
        assert g.shape == w.shape
        np.testing.assert_array_equal(g, w)


def _lane(tree, i):
    return jax.tree.map(lambda x: x[i], tree)


def _assert_like_scan(step, carry, xs):
    got = jax.jit(lambda carry, xs: staged_scan(step, carry, xs))(carry, xs)
    want = jax.jit(lambda carry, xs: jax.lax.scan(step, carry, xs))(carry, xs)
    _assert_same(got, want)


KEYS = jax.random.split(jax.random.key(1), STEPS)
INTEGERS = jnp.arange(STEPS, dtype=jnp.int32) * 7 - 11
FLOATS = jnp.linspace(-2.0, 2.0, STEPS)
TABLE = jnp.arange(12.0).reshape(4, 3)


class Walk(NamedTuple):
    """A carry with names."""

    position: jax.Array
    alive: jax.Array
    key: jax.Array


def _keys(carry, key):
    noise = jax.random.bits(key, (3,)).astype(jnp.int32) >> 28
    flip = jax.random.bits(jax.random.fold_in(key, 1)) % 2 == 0
    carry = jnp.where(flip, carry + noise, carry - noise)
    return carry, (noise, flip, carry.sum())


def _nested_jit(carry, x):
    @jax.jit
    def outer(c, x):
        inner = jax.jit(lambda a, b, n: (a * b + n, a - b, a))
        return inner(c, x, 3)[0], inner(x, x, jnp.int32(2)), inner(c, c, c)[1:]

    carry, *rest = outer(carry, x)
    return carry, rest


def _cond(carry, x):
    y = jax.lax.cond(x > 0, lambda c: c + 1, lambda c: c - x, carry)
    z = jax.lax.cond(x % 2 == 0, lambda: x, lambda: -x)
    w = jax.lax.switch(carry % 3, [lambda v: v, lambda v: 2 * v, lambda v: v * v], x)
    return y + w, (z, jax.lax.cond(carry > 4, lambda: z, lambda: w))


def _inner_loops(carry, x):
    scanned, _ = jax.lax.scan(lambda c, i: (c * 3 + i, None), x, jnp.arange(4))
    carried, _ = jax.lax.scan(lambda c, i: (c + i * x, None), carry, jnp.arange(3))
    halved = jax.lax.while_loop(lambda v: v > 1, lambda v: v // 2, jnp.abs(x) + 5)
    stepped = jax.lax.fori_loop(0, jnp.abs(carry) % 4, lambda i, v: v + x + i, scanned)
    return carried + stepped, (scanned, halved, stepped)


def _custom_jvp(carry, x):
    return jax.nn.relu(carry - x), (jax.nn.relu(x), jax.nn.relu(carry))


@jax.custom_vjp
def _doubled(x):
    return 2 * x


_doubled.defvjp(lambda x: (2 * x, None), lambda _, g: (3 * g,))


def _custom_vjp(carry, x):
    return _doubled(carry) - x, _doubled(x)


def _everything_else(carry, x):
    state, count = carry
    constant = jnp.arange(3)
    return (
        (state, count + 1),
        {
            "carry": state,
            "count": count,
            "input": x,
            "constant": constant,
            "number": 2.5,
            "table": TABLE[0],
            "flag": True,
        },
    )


def _walk(walk, x):
    key, use = jax.random.split(walk.key)
    move = jax.random.bits(use, (2,), jnp.uint8).astype(jnp.int8) >> 6
    alive = walk.alive & (jnp.sum(move) > -3)
    return Walk(walk.position + jnp.where(alive, move, 0).astype(jnp.int8), alive, key), (alive, key, x)


def _mixed_dtypes(carry, x):
    byte, flag, word, half = carry
    carry = (byte + jnp.uint8(200), ~flag, word ^ jnp.uint32(0xDEADBEEF), (half * 2).astype(jnp.float16))
    return carry, (byte.astype(jnp.float32) * 0.5, x.astype(jnp.int8), word >> 3)


def _replaced_carry(carry, x):
    return (x, 0.0, carry[0]), carry[1]


def _dropped_outputs(carry, x):
    pair = jnp.stack([carry, x, carry + x])
    first, _, third = jnp.split(pair, 3)
    largest, _ = jax.lax.top_k(pair, 2)
    return third[0] + largest[1], first


BODIES = {
    "keys": (_keys, jnp.zeros(3, jnp.int32), KEYS),
    "nested jit": (_nested_jit, jnp.int32(2), INTEGERS),
    "cond": (_cond, jnp.int32(2), INTEGERS),
    "inner loops": (_inner_loops, jnp.int32(2), INTEGERS),
    "custom_jvp": (_custom_jvp, jnp.float32(1.5), FLOATS),
    "custom_vjp": (_custom_vjp, jnp.float32(1.5), FLOATS),
    "constants and inputs as outputs": (_everything_else, (jnp.arange(2.0), jnp.uint32(0)), {"a": KEYS, "b": FLOATS}),
    "a carry with a key": (_walk, Walk(jnp.zeros(2, jnp.int8), jnp.array(True), jax.random.key(3)), INTEGERS),
    "small dtypes": (
        _mixed_dtypes, (jnp.uint8(100), jnp.array([True, False]), jnp.uint32(7), jnp.float16(0.1)), FLOATS,
    ),
    "replaced carries": (_replaced_carry, (jnp.int32(9), jnp.float32(8.0), jnp.int32(7)), INTEGERS),
    "dropped outputs": (_dropped_outputs, jnp.int32(3), INTEGERS),
    "unused inputs": (lambda c, x: (c * 3, c + 1), jnp.int32(5), INTEGERS),
    "unused inputs, constant outputs": (lambda c, x: (c, 4), jnp.int32(5), INTEGERS),
    "outputs of the inputs alone": (lambda c, x: (c, x * x), jnp.int32(5), INTEGERS),
    "no carry": (lambda c, x: ((), x + 1), (), INTEGERS),
    "no outputs": (lambda c, x: (c + x, None), jnp.int32(5), INTEGERS),
    "a Python number for a carry": (lambda c, x: (c + x, c), 0.0, FLOATS),
    "one carry twice": (lambda c, x: ((c[1], c[1]), (c[0], c[0], x, x)), (jnp.int32(1), jnp.int32(2)), INTEGERS),
    "a matrix product": (lambda c, x: (c @ (jnp.eye(3) + x), TABLE @ c.T), jnp.arange(9.0).reshape(3, 3), INTEGERS % 3),
}  # fmt: skip


@pytest.mark.parametrize("name", BODIES)
def test_the_numbers_are_those_of_scan(name):
    _assert_like_scan(*BODIES[name])


@pytest.mark.parametrize("steps", [0, 1])
def test_no_step_and_one_step(steps):
    _assert_like_scan(_cond, jnp.int32(2), INTEGERS[:steps])


def _random_body(seed):
    """A body of random integer operations, some of them inside a jit, on carries, inputs and constants."""
    operations = [
        lambda a, b: a + b,
        lambda a, b: a * b,
        lambda a, b: a ^ b,
        lambda a, b: a >> (b & 7),
        lambda a, b: jnp.maximum(a, b),
        lambda a, b: jnp.where(a > b, a, b - 1),
        lambda a, b: jax.lax.cond(a > 0, lambda: b, lambda: a),
    ]

    def run(rng, values, n):
        for _ in range(n):
            if rng.random() < 0.2:
                inner = np.random.default_rng(rng.integers(2**30))
                values = values + jax.jit(lambda values, rng=inner: run(rng, values, 3)[-3:])(values)
            else:
                a, b = rng.integers(len(values), size=2)
                values = [*values, operations[rng.integers(len(operations))](values[a], values[b])]
        return values

    def step(carry, xs):
        rng = np.random.default_rng(seed)
        values = run(rng, [*carry, *xs, jnp.int32(3), CLOSED], 14)
        picks = [values[i] for i in rng.integers(len(values), size=7)]
        return tuple(picks[:3]), picks[3:]

    return step


CLOSED = jnp.int32(-12345)


@pytest.mark.parametrize("seed", range(8))
def test_random_bodies(seed):
    carry = (jnp.int32(1), jnp.int32(-77), jnp.int32(2**30))
    _assert_like_scan(_random_body(seed), carry, (INTEGERS, INTEGERS * 1000003))


def test_floating_point_is_that_of_scan_to_the_last_digits(key):
    """XLA fuses differently around a loop, so that a product and a sum may round once instead of twice."""
    weights = jax.random.normal(key, (4, 4))

    def step(carry, key):
        x = jnp.tanh(weights @ carry + jax.random.normal(key, (4,)))
        return x, (jnp.sum(jnp.exp(-(x**2))), jax.nn.log_softmax(x))

    got, want = (jax.jit(lambda c, f=f: f(step, c, KEYS))(jnp.ones(4)) for f in (staged_scan, jax.lax.scan))
    jax.tree.map(lambda g, w: np.testing.assert_allclose(g, w, rtol=1e-5, atol=1e-6), got, want)


@pytest.mark.parametrize("scan", [staged_scan, jax.lax.scan])
def test_it_runs_without_jit_too(scan):
    carry, ys = scan(lambda c, x: (c + x, c * x), jnp.int32(0), jnp.array([1, 2, 3]))
    assert carry == 6
    np.testing.assert_array_equal(ys, [0, 2, 9])


def test_closed_over_tracers_under_vmap():
    def run(scan, offset, scale, start):
        step = lambda c, x: (c * scale + x, (offset, c - offset, x * scale, scale))
        return scan(step, start, INTEGERS)

    lanes = jnp.array([1, 2, 5]), jnp.array([3, -1, 0]), jnp.array([0, 1, 2])
    mapped = [jax.jit(jax.vmap(lambda *lane, f=f: run(f, *lane)))(*lanes) for f in (staged_scan, jax.lax.scan)]
    _assert_same(*mapped)
    for i in range(3):
        single = jax.jit(lambda *lane: run(staged_scan, *lane))(*(x[i] for x in lanes))
        _assert_same(_lane(mapped[0], i), single)


def test_a_vmapped_lane_is_a_run_of_its_own():
    lanes = jax.vmap(lambda k: jax.random.split(k, STEPS))(KEYS[:3])
    start = jnp.zeros(3, jnp.int32)
    got = jax.jit(jax.vmap(lambda keys: staged_scan(_keys, start, keys)))(lanes)
    single = jax.jit(lambda keys: jax.lax.scan(_keys, start, keys))
    for i in range(3):
        _assert_same(_lane(got, i), single(lanes[i]))


def test_it_stands_inside_another():
    def outer(scan):
        def step(carry, keys):
            carry, ys = scan(_keys, carry, keys)
            return carry, jax.tree.map(lambda y: y[-1], ys)

        keys = jax.vmap(lambda k: jax.random.split(k, 3))(KEYS)
        return jax.jit(lambda: scan(step, jnp.zeros(3, jnp.int32), keys))()

    _assert_same(outer(staged_scan), outer(jax.lax.scan))


def test_gradients_are_those_of_scan():
    def loss(scan, carry, xs):
        carry, ys = scan(_custom_jvp, carry, xs)
        return carry + sum(jnp.sum(y * y) for y in ys)

    grad = lambda scan: jax.jit(jax.grad(lambda *a: loss(scan, *a), argnums=(0, 1)))(jnp.float32(1.5), FLOATS)
    jax.tree.map(lambda g, w: np.testing.assert_allclose(g, w, rtol=1e-6), grad(staged_scan), grad(jax.lax.scan))


@pytest.mark.parametrize("length", [0, 4, STEPS])
def test_fewer_steps_than_inputs(length):
    step = lambda c, key: ((_keys(c[0], key)[0], c[1] + jax.random.bits(key)), None)
    carry = jnp.zeros(3, jnp.int32), jnp.uint32(0)
    want = jax.jit(lambda: jax.lax.scan(step, carry, KEYS[:length]))()
    _assert_same(jax.jit(lambda n: staged_scan(step, carry, KEYS, length=n))(length), want)
    _assert_same(jax.jit(lambda: staged_scan(step, carry, KEYS, length=length))(), want)


def test_one_program_for_every_length_and_one_length_a_lane():
    traces = []

    def step(carry, x):
        traces.append(1)
        return carry * 3 + x, None

    program = jax.jit(jax.vmap(lambda n: staged_scan(step, jnp.int32(1), INTEGERS, length=n)[0]))
    lengths = jnp.arange(STEPS + 1)
    got = program(lengths)
    want = [1]
    for x in INTEGERS.tolist():
        want.append(want[-1] * 3 + x)
    np.testing.assert_array_equal(got, want)
    program(lengths[::-1])
    assert len(traces) == 1


def _loop_primitives(function, *args):
    """Names of the primitives inside the loop, calls opened."""
    names = []

    is_jaxpr = lambda x: hasattr(x, "eqns") or hasattr(x, "jaxpr")

    def collect(jaxpr, inside):
        for eqn in jaxpr.eqns:
            names.extend([eqn.primitive.name] * inside)
            for parameter in filter(is_jaxpr, jax.tree.leaves(list(eqn.params.values()), is_leaf=is_jaxpr)):
                collect(getattr(parameter, "jaxpr", parameter), inside or eqn.primitive.name in ("scan", "while"))

    collect(jax.make_jaxpr(function)(*args).jaxpr, False)
    return set(names)


def _divided(carry, key):
    noise = jax.random.uniform(key)
    carry = jnp.tanh(carry + noise + jnp.cos(TABLE[1, 1]))
    return carry, jnp.exp(carry)


def test_only_the_recurrence_is_left_in_the_loop():
    ahead, inside, behind, constant = "random_bits", "tanh", "exp", "cos"
    assert {ahead, inside, behind, constant} <= _loop_primitives(lambda: jax.lax.scan(_divided, 0.5, KEYS))
    names = _loop_primitives(lambda: staged_scan(_divided, 0.5, KEYS))
    assert inside in names
    assert not {ahead, behind, constant} & names

    no_output = lambda c, key: (_divided(c, key)[0], None)
    names = _loop_primitives(lambda n: staged_scan(no_output, 0.5, KEYS, length=n), 3)
    assert inside in names
    assert not {ahead, constant} & names


def test_nothing_is_moved_when_it_would_take_too_much_memory(monkeypatch):
    # One float32 is kept of each step. The module's name is also its function's: ask for it by path.
    monkeypatch.setattr(importlib.import_module("jaxrl.training.staged_scan"), "MEMORY_LIMIT", 4 * STEPS - 1)
    assert {"random_bits", "tanh", "exp"} <= _loop_primitives(lambda: staged_scan(_divided, 0.5, KEYS))
    _assert_like_scan(_cond, jnp.int32(2), INTEGERS)
    _assert_like_scan(*BODIES["constants and inputs as outputs"])
    step = lambda c, x: (c * 3 + x, None)
    _assert_same(staged_scan(step, jnp.int32(1), INTEGERS, length=4), jax.lax.scan(step, jnp.int32(1), INTEGERS[:4]))


def test_effects_happen_once_a_step_and_in_order():
    seen = []

    def step(carry, x):
        jax.debug.callback(lambda v: seen.append(("constant", int(v))), jnp.int32(7), ordered=True)
        jax.debug.callback(lambda v: seen.append(("input", int(v))), x, ordered=True)
        return carry + x, carry

    carry, _ = jax.jit(lambda: staged_scan(step, jnp.int32(0), jnp.arange(3)))()
    jax.effects_barrier()
    assert carry == 3
    assert seen == [("constant", 7), ("input", 0), ("constant", 7), ("input", 1), ("constant", 7), ("input", 2)]


@pytest.mark.parametrize(
    ("step", "carry", "message"),
    [
        (lambda c, x: (c + 0.5, None), jnp.int32(0), r"the carry changes from int32\(\) to float32\(\)"),
        (
            lambda c, x: ({"a": c["a"] > 0}, None),
            {"a": jnp.int32(0)},
            r"the carry\['a'\] changes from int32\(\) to bool\(\)",
        ),
        (lambda c, x: (c[None], None), jnp.int32(0), r"the carry changes from int32\(\) to int32\(1,\)"),
        (lambda c, x: ((c, c), None), jnp.int32(0), "the carry changes its structure"),
        (lambda c, x: (None, c), jnp.int32(0), "the carry changes its structure"),
    ],
    ids=["dtype", "dtype by name", "shape", "structure", "nothing"],
)
def test_a_carry_that_changes_its_type_is_refused(step, carry, message):
    with pytest.raises(TypeError, match=message):
        staged_scan(step, carry, INTEGERS)


def test_a_length_and_outputs_are_refused_together():
    with pytest.raises(ValueError, match="without outputs"):
        staged_scan(lambda c, x: (c, x), jnp.int32(0), INTEGERS, length=2)


def test_inputs_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="size"):
        staged_scan(lambda c, xs: (c + xs[0] + xs[1], None), jnp.int32(0), (INTEGERS, INTEGERS[:3]))


def test_a_weak_carry_does_not_change_the_type():
    carry, ys = staged_scan(lambda c, x: (c * 2 + x, c), 1, INTEGERS)
    assert carry.dtype == ys.dtype == jnp.int32
    carry, _ = staged_scan(lambda c, x: (c + 1, None), jnp.float16(0.5), INTEGERS)
    assert carry.dtype == jnp.float16
    assert math.isclose(carry, STEPS + 0.5)


@pytest.mark.parametrize("name", BODIES)
def test_a_divided_step_gives_the_same_numbers_as_the_whole(name):
    step, carry, xs = BODIES[name]
    x = _lane(xs, 2)
    parts = divide(step, carry, x)
    kept = jax.jit(jax.vmap(parts.ahead, axis_size=STEPS))(xs)
    _assert_same(jax.jit(parts.rest)(carry, _lane(kept, 2)), jax.jit(step)(carry, x))


def test_nothing_is_shown_before_its_time():
    def shows(carry, key):
        noise = jax.random.uniform(key)
        jax.debug.print("noise {}", noise)
        return carry + noise, noise

    parts = divide(shows, 0.5, KEYS[0])
    assert "debug" not in str(jax.make_jaxpr(parts.ahead)(KEYS[0]))
    assert "debug" in str(jax.make_jaxpr(parts.rest)(0.5, parts.ahead(KEYS[0])))


def test_what_a_key_decides_alone_is_done_ahead():
    parts = divide(_divided, 0.5, KEYS[0])
    assert parts.nbytes == 4
    kept = parts.ahead(KEYS[0])
    assert "random_bits" not in str(jax.make_jaxpr(parts.rest)(0.5, kept))
    assert "random_bits" in str(jax.make_jaxpr(parts.ahead)(KEYS[0]))
