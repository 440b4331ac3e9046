"""A sample of what the commands of this folder do, in the tests' own process."""

import random
import shutil
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import bad_inputs
import damage
import damaging
import forked

from jaxrl.experiment.checkpoints import CheckpointError, Checkpoints
from jaxrl.experiment.cli import main


@pytest.mark.parametrize("source", [bad_inputs.option_cases, bad_inputs.size_cases])
def test_bad_options_and_sizes_are_one_sentence(source, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    occupied = tmp_path / bad_inputs.OCCUPIED
    occupied.mkdir()
    (occupied / "file").write_text("mine\n")
    cases = source(random.Random(1))
    before, wrong = forked.contents(tmp_path), []
    for _ in range(30):
        case = next(cases)
        status, (out, err) = main(list(case.argv)), capfd.readouterr()
        if trouble := forked.Outcome(status, out, err, 0.0).trouble(case.allowed):
            wrong.append((trouble, [word[:80] for word in case.argv], err[-500:]))
    assert wrong == []
    assert forked.contents(tmp_path) == before


@pytest.fixture
def checkpoints(tmp_path):
    """Two checkpoints, and a function that makes the state of one."""
    state = lambda n: {"a": jnp.full((3, 2), float(n)), "key": jax.random.key(n), "nothing": np.zeros((0, 2))}
    saved = Checkpoints(tmp_path / "checkpoints")
    for n in (1, 2):
        saved.save(n, state(n), {"settings": {}, "clock": {}}, score=float(n))
    saved.close()
    return saved, state


@pytest.mark.parametrize("forgery", damage.FORGERIES)
def test_a_forged_checkpoint_is_passed_over_or_refused(forgery, checkpoints):
    saved, state = checkpoints
    damage.FORGERIES[forgery](saved.directory / "2")
    try:
        restored = saved.restore(state(0))
    except CheckpointError as error:
        assert "\n" not in str(error) and len(str(error)) < 1000
    else:
        assert restored.skipped == [2] * (restored.step == 1)
        np.testing.assert_array_equal(restored.state["a"], np.full((3, 2), float(restored.step)))
    damage.FORGERIES[forgery](saved.directory / "1")
    try:
        saved.restore(state(0))
        saved.metadata()
    except CheckpointError as error:
        assert "\n" not in str(error) and len(str(error)) < 2000


def test_a_checkpoint_allocates_no_more_than_its_metadata_say(checkpoints):
    """Arrays of another shape than the metadata's are not read."""
    saved, state = checkpoints
    larger = Checkpoints(saved.directory.parent / "larger")
    larger.save(2, state(2) | {"a": jnp.zeros((1000, 1000))}, {})
    shutil.rmtree(saved.directory / "2" / "state")
    shutil.copytree(larger.directory / "2" / "state", saved.directory / "2" / "state")
    damage.sign(saved.directory / "2")
    restored = saved.restore(state(0))
    assert restored.step == 1 and restored.skipped == [2]
    with pytest.raises(CheckpointError, match=r"\['a'\] has the shape \[1000, 1000\] and not \[3, 2\]"):
        saved.restore(state(0), 2)


@pytest.mark.parametrize("how", damaging.DAMAGES)
def test_every_damage_changes_a_file(how, tmp_path):
    path, rng = tmp_path / "file", random.Random(0)
    (tmp_path / "other").write_text("other\n")
    for data in (b"steps,seed\n1,0\n2,0\n", b"", bytes(range(256)) * 4):
        path.write_bytes(data)
        damaging.DAMAGES[how](path, rng)
        changed = path.read_bytes() if path.is_file() else None
        assert changed != data or not data
        if path.is_dir():
            path.rmdir()
