import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

from jaxrl import observations

VECTOR, IMAGE = spaces.Box(-1, 1, (3,), np.float32), spaces.Box(0, 255, (10, 10, 4), np.uint8)
SPACE = spaces.Dict(
    {
        "action_mask": spaces.MultiBinary(5),
        "image": IMAGE,
        "privileged": spaces.Box(-9, 9, (2,), np.float32),
        "vector": VECTOR,
    }
)


def observation():
    return {
        "action_mask": jnp.array([[1, 0, 1, 1, 0]]), "image": jnp.zeros((1, 10, 10, 4), jnp.uint8),
        "privileged": jnp.ones((1, 2)), "vector": jnp.ones((1, 3)),
    }  # fmt: skip


def test_entries_are_left_out():
    space, take = observations.without(SPACE, "action_mask", "privileged")
    assert list(space.spaces) == ["image", "vector"] == list(take(observation()))
    alone, take = observations.without(spaces.Dict(action_mask=VECTOR, x=VECTOR), "action_mask")
    assert alone == VECTOR
    assert take({"action_mask": 1, "x": 2}) == 2
    same, take = observations.without(VECTOR, "action_mask")
    assert same is VECTOR
    assert take(3) == 3


def test_an_observation_of_a_mask_alone_is_refused():
    with pytest.raises(ValueError, match="action_mask"):
        observations.without(spaces.Dict(action_mask=VECTOR), "action_mask")


def test_the_mask_is_taken_out_and_has_an_entry_for_each_choice():
    action_space = spaces.Tuple([spaces.MultiDiscrete([2, 3]), spaces.Box(-1, 1, (4,))])
    mask = observations.action_mask(SPACE, action_space)(observation())
    np.testing.assert_array_equal(mask, [[True, False, True, True, False]])
    assert observations.action_mask(VECTOR, action_space) is None
    assert observations.num_choices(spaces.Dict(a=spaces.Discrete(4), b=spaces.MultiBinary(3))) == 10
    with pytest.raises(ValueError, match="must be a vector of 4 entries"):
        observations.action_mask(SPACE, spaces.Discrete(4))


def test_a_part_of_an_action_that_allows_nothing_allows_everything():
    action_space = spaces.Dict(a=spaces.MultiDiscrete([2, 3]), b=spaces.MultiBinary(1), c=VECTOR)
    mask = observations.action_mask(spaces.Dict(action_mask=spaces.MultiBinary(7), x=VECTOR), action_space)
    got = mask({"action_mask": jnp.array([[1, 0, 0, 0, 0, 0, 1], [0, 0, 0, 1, 0, 0, 0]]), "x": 0})
    np.testing.assert_array_equal(got, [[1, 0, 1, 1, 1, 0, 1], [1, 1, 0, 1, 0, 1, 1]])


def test_vectors_are_all_but_masks_and_images():
    taken = observations.normalizable(SPACE, observation())
    assert jax.tree.map(jnp.shape, taken) == {"image": None, "privileged": (1, 2), "vector": (1, 3)}
    images = observations.normalizable(SPACE, observation(), images=True)
    assert jax.tree.map(jnp.shape, images) == {**jax.tree.map(jnp.shape, taken), "image": observation()["image"].shape}
    back = observations.with_replaced(SPACE, observation(), jax.tree.map(lambda x: 2 * x, taken))
    assert back["vector"][0, 0] == 2
    assert back["privileged"][0, 0] == 2
    assert back["image"].dtype == jnp.uint8
    np.testing.assert_array_equal(back["action_mask"], observation()["action_mask"])


def test_the_actor_is_not_shown_the_privileged_and_nobody_mask_and_target():
    space = spaces.Dict({**SPACE.spaces, "auxiliary": VECTOR})
    seen = observations.sides(space, spaces.MultiDiscrete([2, 3]))
    given = {**observation(), "auxiliary": jnp.ones((1, 3))}
    for side, names in ((seen.actor, ["image", "vector"]), (seen.critic, ["image", "privileged", "vector"])):
        assert list(side.space.spaces) == list(side.sees(given)) == names
    np.testing.assert_array_equal(seen.allowed(given), [[True, False, True, True, False]])
    assert observations.sides(VECTOR, spaces.Discrete(2)).allowed(None) is None
