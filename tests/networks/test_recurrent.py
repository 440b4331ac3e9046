import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.networks.recurrent import Recurrent, RecurrentTorso, initial_carry
from jaxrl.networks.torsos import MLP

T, B, N, H = 7, 3, 4, 5


def built(cell, key, **more):
    module = Recurrent(cell, H, **more)
    x = jax.random.normal(jax.random.fold_in(key, 1), (T, B, N))
    carry = jax.tree.map(lambda c: c + 0.3, initial_carry(cell, H, B))
    params = jax.jit(module.init)(key, x, carry)
    params = jax.tree.map(lambda p: p + 0.1 * jax.random.normal(key, p.shape), params)
    return module, params, x, carry


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_cells_against_those_of_flax(cell, key):
    module, params, x, carry = built(cell, key)
    own = params["params"]
    kernel, bias = own["Dense_0"]["kernel"], own["Dense_0"]["bias"]
    names = "ifgo" if cell == "lstm" else "rzn"
    split = lambda a: dict(zip(names, np.split(np.asarray(a), len(names), axis=-1), strict=True))
    kernels, recurrent, biases = split(kernel), split(own["recurrent_kernel"]), split(bias)
    if cell == "lstm":
        theirs = {f"i{g}": {"kernel": kernels[g]} for g in names}
        theirs |= {f"h{g}": {"kernel": recurrent[g], "bias": biases[g]} for g in names}
        oracle = nn.LSTMCell(H)
    else:
        theirs = {f"i{g}": {"kernel": kernels[g], "bias": biases[g]} for g in names}
        theirs |= {f"h{g}": {"kernel": recurrent[g]} for g in names}
        theirs["hn"]["bias"] = own["recurrent_bias"]
        oracle = nn.GRUCell(H)
    got, last = jax.jit(module.apply)(params, x, carry)
    for t in range(T):
        carry, y = oracle.apply({"params": theirs}, carry, x[t])
        np.testing.assert_allclose(got[t], y, rtol=1e-4, atol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), last, carry)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_the_state_is_zero_exactly_where_an_episode_begins(cell, key):
    module, params, x, carry = built(cell, key)
    begins = jnp.zeros((T, B), bool).at[4, 1].set(True).at[0, 2].set(True)
    apply = jax.jit(module.apply)
    got, last = apply(params, x, carry, begins)
    untouched, _ = apply(params, x, carry)
    zero = initial_carry(cell, H, B)
    afresh, afresh_last = apply(params, x[4:], zero)
    np.testing.assert_allclose(got[:, 0], untouched[:, 0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(got[:4, 1], untouched[:4, 1], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(got[4:, 1], afresh[:, 1], rtol=1e-5, atol=1e-6)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[1], b[1], rtol=1e-5, atol=1e-6), last, afresh_last)
    np.testing.assert_allclose(got[:, 2], apply(params, x, zero)[0][:, 2], rtol=1e-5, atol=1e-6)


def test_steps_one_by_one_are_the_sequence(key):
    torso = RecurrentTorso("mlp", (6,), "tanh", nn.initializers.lecun_normal(), "lstm", H, True, False, True)
    x, carry = jax.random.normal(key, (T, B, N)), initial_carry("lstm", H, B)
    params = jax.jit(torso.init)(key, x, carry)
    begins = jnp.zeros((T, B), bool).at[3, 0].set(True)
    apply = jax.jit(torso.apply)
    together, last = apply(params, x, carry, begins)
    assert together.shape == (T, B, H)
    for t in range(T):
        y, carry = apply(params, x[t : t + 1], carry, begins[t : t + 1])
        np.testing.assert_allclose(y[0], together[t], rtol=1e-5, atol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), carry, last)


def test_a_cell_before_the_dense_layers(key):
    torso = RecurrentTorso("mlp", (6,), "tanh", nn.initializers.lecun_normal(), "gru", H, before_mlp=True)
    y, _ = torso.init_with_output(key, jnp.ones((T, B, N)), initial_carry("gru", H, B))[0]
    assert y.shape == (T, B, 6)


@pytest.mark.parametrize(("cell", "before_mlp"), [("lstm", False), ("gru", True)])
def test_cells_on_top_of_each_other_beside_what_the_torso_begins_with(key, cell, before_mlp):
    torso = RecurrentTorso(
        "mlp", (6,), "tanh", nn.initializers.lecun_normal(), cell, H, layer_norm=True, before_mlp=before_mlp,
        concat_output=True, layers=3,
    )  # fmt: skip
    x, start = jax.random.normal(key, (T, B, N)), initial_carry(cell, H, B, 3)
    start = tuple(jax.tree.map(lambda c, i=i: c + 0.3 - 0.2 * i, layer) for i, layer in enumerate(start))
    begins = jnp.zeros((T, B), bool).at[3, 0].set(True)
    params = jax.jit(torso.init)(key, x, start)
    got, last = jax.jit(torso.apply)(params, x, start, begins)

    own = {name: {"params": p} for name, p in params["params"].items()}
    dense = lambda y: MLP((6,)).apply(own["MLP_0"], y)
    y, want = x if before_mlp else dense(x), []
    for i in range(3):
        y, state = Recurrent(cell, H, i == 2).apply(own[f"Recurrent_{i}"], y, start[i], begins)
        want.append(state)
    y = jnp.concatenate([y, x], axis=-1)
    np.testing.assert_allclose(got, dense(y) if before_mlp else y, rtol=1e-4, atol=1e-5)
    assert got.shape[-1] == (6 if before_mlp else H + N)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), last, tuple(want))


def test_memory_is_kept_at_the_start(key):
    params = Recurrent("lstm", H).init(key, jnp.ones((1, 1, N)), initial_carry("lstm", H, 1))["params"]
    np.testing.assert_array_equal(params["Dense_0"]["bias"].reshape(4, H), np.array([[0], [1], [0], [0]]) * np.ones(H))


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_every_gate_begins_with_weights_of_its_own(cell, key):
    gates = 4 if cell == "lstm" else 3
    params = jax.jit(Recurrent(cell, H).init)(key, jnp.ones((1, 1, N)), initial_carry(cell, H, 1))["params"]
    for kernel in (params["recurrent_kernel"], params["Dense_0"]["kernel"]):
        each = jnp.split(kernel, gates, axis=1)
        assert all(not np.any(each[i] == each[j]) for i in range(gates) for j in range(i))
