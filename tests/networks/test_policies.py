import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

from jaxrl import spaces as jax_spaces
from jaxrl.networks.activations import ACTIVATIONS
from jaxrl.networks.distributions import Beta, Categorical, DiagonalGaussian, SquashedGaussian
from jaxrl.networks.policies import CategoricalHead, GaussianHead, policy_head, raw_std, std_from


def _apply(head, key, x):
    return jax.jit(lambda x: head.apply(head.init(key, x), x))(x)


@pytest.mark.parametrize("batch", [(), (3, 2)])
def test_the_head_fits_the_action_space(key, batch):
    x = jnp.ones((*batch, 5))
    p = _apply(policy_head(spaces.Discrete(3)), key, x)
    assert isinstance(p, Categorical)
    assert p.logits.shape == (*batch, 3)
    assert p.sample(seed=key).shape == p.mode().shape == batch
    p = _apply(policy_head(spaces.Box(-2, 2, (2,))), key, x)
    assert isinstance(p, DiagonalGaussian)
    assert p.mean.shape == p.log_std.shape == p.sample(seed=key).shape == (*batch, 2)
    assert p.entropy().shape == batch


def test_a_space_that_starts_elsewhere_still_has_actions_from_zero(key):
    assert _apply(policy_head(spaces.Discrete(3, start=5)), key, jnp.ones(5)).logits.shape == (3,)


def test_policies_start_near_to_uniform(rng, key):
    x = rng.normal(size=(10, 5)).astype(np.float32)
    np.testing.assert_allclose(_apply(CategoricalHead(3), key, x).entropy(), np.log(3), atol=1e-2)
    np.testing.assert_allclose(_apply(GaussianHead(2), key, x).mean, 0, atol=0.1)


def test_the_deviation_is_one_free_parameter_a_dimension(key):
    head = GaussianHead(2, initial_log_std=-0.5)
    x = jnp.ones((3, 5))
    params = jax.jit(head.init)(key, x)
    np.testing.assert_allclose(params["params"]["log_std"], [-0.5, -0.5])
    np.testing.assert_allclose(jnp.exp(head.apply(params, x).log_std), np.full((3, 2), np.exp(-0.5)), rtol=1e-6)
    gradient = jax.jit(jax.grad(lambda p: jnp.sum(head.apply(p, x).entropy())))(params)["params"]
    np.testing.assert_allclose(gradient["log_std"], [3.0, 3.0])
    assert not np.any(gradient["Dense_0"]["kernel"])


@pytest.mark.parametrize(
    "space",
    [spaces.MultiDiscrete([[2, 3]]), spaces.Box(-1, 1, ()), spaces.Box(-1, 1, (2, 2)), spaces.Dict(a=spaces.Text(2))],
)
def test_other_spaces_are_refused_by_name(space):
    with pytest.raises(ValueError, match="Discrete or one-dimensional Box") as error:
        policy_head(space)
    part = space["a"] if isinstance(space, spaces.Dict) else space
    assert str(part) in str(error.value)


def test_products_of_spaces(key):
    space = spaces.Dict(
        a=spaces.Discrete(3), b=spaces.Tuple([spaces.Box(-1, 1, (2,)), spaces.MultiBinary(2)]),
        c=spaces.MultiDiscrete([2, 4]),
    )  # fmt: skip
    p = _apply(policy_head(space), key, jnp.ones((5, 6)))
    action = p.sample(seed=key)
    assert jax.tree.map(jnp.shape, action) == {"a": (5,), "b": ((5, 2), (5, 2)), "c": (5, 2)}
    assert jax_spaces.contains(spaces.Dict(a=space["a"], c=space["c"]), {k: action[k] for k in "ac"})
    assert jax.tree.map(jnp.shape, p.mode()) == jax.tree.map(jnp.shape, action)
    assert p.log_prob(action).shape == p.entropy().shape == p.kl_divergence(p).shape == (5,)


def test_forbidden_actions_have_probability_zero_and_no_part_in_entropy_or_divergence(rng, key):
    space = spaces.Tuple([spaces.Discrete(3), spaces.Box(-1, 1, (1,)), spaces.MultiDiscrete([2, 3])])
    head, x = policy_head(space), rng.normal(size=(6, 4)).astype(np.float32)
    mask = jnp.array([[1, 0, 1, 1, 0, 0, 1, 1]] * 6, bool)
    params = head.init(key, x)
    params = jax.tree.map(lambda p: p + 0.5 * jax.random.normal(key, p.shape), params)
    p = head.apply(params, x, mask)
    actions = jax.jit(jax.vmap(lambda k: p.sample(seed=k)))(jax.random.split(key, 200))
    assert set(np.unique(actions[0])) == {0, 2}
    assert set(np.unique(actions[2][..., 0])) == {0}
    assert set(np.unique(actions[2][..., 1])) == {1, 2}
    q = head.apply(jax.tree.map(lambda p: 0.5 * p, params), x, mask)
    log_p, log_q, entropy, divergence = jax.jit(
        lambda p, q: (jax.vmap(p.log_prob)(actions), jax.vmap(q.log_prob)(actions), p.entropy(), p.kl_divergence(q))
    )(p, q)
    for got, draws in ((entropy, -log_p), (divergence, log_p - log_q)):
        error = np.std(draws, 0) / np.sqrt(200)
        assert np.all(np.abs(got - np.mean(draws, 0)) < 4.5 * error + 1e-4)
    total = lambda params: jnp.sum(
        (lambda d: d.entropy() + d.kl_divergence(q) + d.log_prob(jax.tree.map(lambda a: a[0], actions)))(
            head.apply(params, x, mask)
        )
    )
    assert all(np.all(np.isfinite(g)) for g in jax.tree.leaves(jax.jit(jax.grad(total))(params)))


@pytest.mark.parametrize("parametrization", ["exp", "softplus", "linear"])
@pytest.mark.parametrize("state_dependent", [False, True])
def test_deviations(rng, key, parametrization, state_dependent):
    head = GaussianHead(
        2, initial_log_std=math.log(0.5), parametrization=parametrization, min_std=0.1, state_dependent=state_dependent
    )
    x = rng.normal(size=(4, 3)).astype(np.float32)
    params = head.init(key, x)
    std = lambda params: jnp.exp(head.apply(params, x).log_std)
    np.testing.assert_allclose(std(params), 0.5, rtol=0.1 if state_dependent else 1e-5)
    assert (np.ptp(std(params), axis=0).max() > 0) == state_dependent


@pytest.mark.parametrize("parametrization", ["softplus", "linear"])
def test_below_the_floor_there_is_a_gradient(parametrization):
    raw = jnp.array([-3.0, 0.0, 0.05, 2.0])
    std, slope = jax.vmap(jax.value_and_grad(lambda r: std_from(r, parametrization, 0.1)))(raw)
    floor = np.log1p(np.exp(raw)) + 0.1 if parametrization == "softplus" else 0.1 + np.log1p(np.exp(raw - 0.1))
    np.testing.assert_allclose(std, floor, rtol=1e-5)
    assert np.all(std > 0.1)
    assert np.all(slope > 0.01)


def test_a_deviation_below_its_floor_is_refused():
    with pytest.raises(ValueError, match="initial_std"):
        raw_std(0.05, "softplus", 0.1)


@pytest.mark.parametrize("std", [1e-3, 0.5, 30.0, 800.0])
def test_a_deviation_of_any_size_can_be_the_first(std):
    for parametrization in ("exp", "softplus"):
        raw = raw_std(std, parametrization)
        np.testing.assert_allclose(std_from(jnp.float32(raw), parametrization), std, rtol=1e-3)


@pytest.mark.parametrize(
    ("activation", "parametrization", "std"),
    [
        ("tanh", "exp", 1.0),
        ("tanh", "exp", 0.5),
        ("relu", "exp", 1.5),
        ("sigmoid", "softplus", 1.0),
        ("elu", "linear", 0.5),
    ],
)
@pytest.mark.parametrize("state_dependent", [False, True])
def test_the_activation_before_the_deviation(rng, key, activation, parametrization, std, state_dependent):
    head = GaussianHead(
        2, math.log(std), parametrization=parametrization, std_activation=activation, state_dependent=state_dependent
    )
    x = rng.normal(size=(4, 3)).astype(np.float32)
    params = jax.tree.map(jnp.asarray, head.init(key, x))
    # It starts as asked for.
    np.testing.assert_allclose(jnp.exp(head.apply(params, x).log_std), std, rtol=0.05 if state_dependent else 1e-4)
    # And is std_from(activation(number)) wherever the number is.
    params = jax.tree.map(lambda p: p + rng.normal(size=p.shape).astype(np.float32), params)
    p = params["params"]
    raw = x @ p["Dense_1"]["kernel"] + p["Dense_1"]["bias"] if state_dependent else jnp.tile(p["log_std"], (4, 1))
    want = std_from(ACTIVATIONS[activation](raw), parametrization)
    np.testing.assert_allclose(jnp.exp(head.apply(params, x).log_std), want, rtol=1e-4)


@pytest.mark.parametrize(
    ("std", "activation", "words"),
    [
        # exp makes 1 of 0, which is the end of what these give, and there relu has no gradient.
        (1.0, "relu", "initial_std=1.0: must be larger: std_activation='relu' rises from 0 to inf, .*'exp' .* of 0"),
        (1.0, "sigmoid", "initial_std=1.0: must be larger"),
        (3.0, "tanh", r"initial_std=3.0: must be smaller: std_activation='tanh' rises from -1 to 1, .* of 1\.1"),
    ],
)
def test_a_deviation_that_an_activation_does_not_reach(std, activation, words):
    with pytest.raises(ValueError, match=words):
        raw_std(std, "exp", activation=activation)


@pytest.mark.parametrize("continuous", ["gaussian", "squashed_gaussian", "beta"])
def test_the_weights_of_every_head(key, continuous):
    space = spaces.Dict(
        a=spaces.Discrete(3), b=spaces.Box(-1, 1, (2,)), c=spaces.Tuple([spaces.MultiBinary(2)]),
        d=spaces.MultiDiscrete([2, 4]),
    )  # fmt: skip
    head = policy_head(space, continuous, nn.initializers.constant(0.02))
    kernels = [p for path, p in jax.tree.leaves_with_path(head.init(key, jnp.ones(5))) if "kernel" in str(path)]
    assert len(kernels) == 4
    for kernel in kernels:
        np.testing.assert_array_equal(kernel, np.full(kernel.shape, 0.02, np.float32))


@pytest.mark.parametrize("squashed", [False, True])
def test_the_activation_of_the_mean(rng, key, squashed):
    x = rng.normal(size=(4, 3)).astype(np.float32)
    plain, bounded = (GaussianHead(2, squashed=squashed, mean_activation=a) for a in ("identity", "tanh"))
    params = jax.tree.map(lambda p: p + rng.normal(size=p.shape).astype(np.float32), plain.init(key, x))
    linear, got = plain.apply(params, x), bounded.apply(params, x)
    layer = params["params"]["Dense_0"]
    np.testing.assert_allclose(linear.mean, x @ layer["kernel"] + layer["bias"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(got.mean, np.tanh(linear.mean), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(got.log_std, linear.log_std)


def test_beta_and_squashed_gaussian_need_bounds(key):
    p = _apply(policy_head(spaces.Box(-1, 1, (2,)), "beta"), key, jnp.ones((3, 4)))
    assert isinstance(p, Beta)
    assert np.all(p.alpha > 1)
    q = _apply(policy_head(spaces.Box(-1, 1, (2,)), "squashed_gaussian", initial_log_std=-1.0), key, jnp.ones((3, 4)))
    assert isinstance(q, SquashedGaussian)
    np.testing.assert_allclose(q.log_std, -1.0)
    for continuous in ("beta", "squashed_gaussian"):
        with pytest.raises(ValueError, match="bounds"):
            policy_head(spaces.Box(-np.inf, np.inf, (2,)), continuous)


def test_the_mode_of_a_flat_beta_is_its_middle(key):
    # 1 + softplus(-30) is 1 in float32.
    head = policy_head(spaces.Box(-1, 1, (1,)), "beta")
    params = jax.tree.map(lambda p: 0 * p - 30.0, head.init(key, jnp.ones((1, 2))))
    np.testing.assert_array_equal(head.apply(params, jnp.ones((1, 2))).mode(), [[0.0]])
