import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

from jaxrl.networks.distributions import Categorical, DiagonalGaussian
from jaxrl.networks.policies import CategoricalHead, GaussianHead, policy_head


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
    [spaces.MultiDiscrete([2, 3]), spaces.Box(-1, 1, ()), spaces.Box(-1, 1, (2, 2)), spaces.Dict(a=spaces.Discrete(2))],
)
def test_other_spaces_are_refused_by_name(space):
    with pytest.raises(ValueError, match="Discrete or one-dimensional Box") as error:
        policy_head(space)
    assert str(space) in str(error.value)
