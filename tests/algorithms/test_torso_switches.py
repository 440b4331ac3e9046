"""The fields of a configuration that its torso is made of, in every family that has them."""

import jax
import numpy as np
import pytest
from gymnasium import spaces

from jaxrl.algorithms import dqn, iqn, ppo, pqn
from jaxrl.types import Spec


@pytest.mark.parametrize(
    ("torso", "convolutions", "words"),
    [
        ("conv", (), "torso='conv': needs convolutions"),
        ("auto", ((8, 3, 1),), "convolutions=.*needs torso='conv'"),
        ("conv", ((8, 3),), "convolutions=.*three positive integers"),
        ("conv", ((8, 0, 1),), r"convolutions=.*got \(8, 0, 1\)"),
        ("cnn", (), "torso='cnn': must be one of"),
    ],
)
def test_lists_of_convolutions_that_cannot_be(torso, convolutions, words):
    for module in (ppo, dqn):
        with pytest.raises(ValueError, match=words):
            module.Config(torso=torso, convolutions=convolutions)


@pytest.mark.parametrize("module", [ppo, pqn, dqn, iqn], ids=lambda m: m.__name__.rpartition(".")[2])
def test_families_that_take_a_list_of_convolutions(module, key):
    spec = Spec("test", spaces.Box(0, 255, (10, 10, 4), np.uint8), spaces.Discrete(3))
    agent = module.make(spec, module.Config(torso="conv", convolutions=((7, 3, 2), (5, 2, 1)), hidden_sizes=(6,)))
    params = jax.eval_shape(lambda key: agent.init(key, agent.hyperparameters), key).params
    shapes = [x.shape for x in jax.tree.leaves(params)]
    # 10 -> 4 -> 3 pixels a side.
    assert {(3, 3, 4, 7), (2, 2, 7, 5), (3 * 3 * 5, 6)} <= set(shapes)


@pytest.mark.parametrize("module", [ppo, pqn, dqn, iqn], ids=lambda m: m.__name__.rpartition(".")[2])
def test_families_whose_torso_is_initialised_by_name(module, key):
    spec = Spec("test", spaces.Box(-1, 1, (6,)), spaces.Discrete(3))
    agent = module.make(spec, module.Config(hidden_sizes=(4,), kernel_init="orthogonal(3)"))
    params = jax.jit(agent.init)(key, agent.hyperparameters).params
    kernels = [x for path, x in jax.tree.leaves_with_path(params) if "MLP" in str(path) and x.shape == (6, 4)]
    assert len(kernels) == (2 if module is ppo else 1)
    for kernel in kernels:
        np.testing.assert_allclose(kernel.T @ kernel, 9 * np.eye(4), atol=1e-4)
    with pytest.raises(ValueError, match="kernel_init='orthognal'.*did you mean 'orthogonal'"):
        module.Config(kernel_init="orthognal")
