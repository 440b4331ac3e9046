import errno
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.experiment import checkpoints as checkpoints_module
from jaxrl.experiment.checkpoints import CheckpointError, Checkpoints
from jaxrl.experiment.errors import UserError


class State(NamedTuple):
    params: dict
    carry: tuple
    nothing: None
    key: jax.Array
    counters: tuple


def make_state(seed=0):
    rng = np.random.default_rng(seed)
    return State(
        params={
            "Dense/0": {"kernel": jnp.asarray(rng.normal(size=(3, 4)), jnp.float32)},
            "half": jnp.asarray(rng.normal(size=7), jnp.bfloat16),
            "special": jnp.array([jnp.nan, jnp.inf, -0.0, 1e-45]),
        },
        carry=(),
        nothing=None,
        key=jax.random.split(jax.random.key(seed), 2),
        counters=(
            jnp.array([True, False]),
            jnp.asarray(rng.integers(0, 256, (2, 5)), jnp.uint8),
            jnp.uint32(2**32 - 1),
            jnp.zeros((0, 3), jnp.int8),
            np.int64(2**40),
            np.arange(3.0),
            7,
            0.1,
            True,
        ),
    )


def assert_same(actual, expected):
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        assert type(a) is type(b)
        if isinstance(b, jax.Array) and jax.dtypes.issubdtype(b.dtype, jax.dtypes.prng_key):
            assert a.dtype == b.dtype
            a, b = jax.random.key_data(a), jax.random.key_data(b)
        a, b = np.asarray(a), np.asarray(b)
        assert a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def data_files(directory, step):
    return sorted(
        (p for p in (directory / str(step) / "state").rglob("*") if p.is_file()), key=lambda p: p.stat().st_size
    )


def test_restores_bit_for_bit_into_a_state_like_it(tmp_path):
    state = make_state()
    saved = Checkpoints(tmp_path / "runs" / "checkpoints")
    saved.save(1000, state, {"algorithm": "ppo", "rate": np.float32(0.5), "path": tmp_path})
    saved.wait()
    saved.close()
    restored = Checkpoints(tmp_path / "runs" / "checkpoints").restore(make_state(seed=1))
    assert restored.step == 1000 and restored.skipped == []
    assert restored.metadata == {"algorithm": "ppo", "rate": 0.5, "path": str(tmp_path)}
    assert_same(restored.state, state)


def test_restores_into_shapes_alone(tmp_path):
    state = make_state()._replace(counters=(jnp.arange(3), np.uint8(3), np.int64(5)))
    Checkpoints(tmp_path).save(5, state, {})
    restored = Checkpoints(tmp_path).restore(jax.eval_shape(lambda: jax.tree.map(lambda x: x, state))).state
    assert isinstance(restored, State) and restored.carry == () and restored.nothing is None
    assert all(isinstance(x, jax.Array) and not x.committed for x in jax.tree.leaves(restored))
    assert jax.random.uniform(restored.key[1]) == jax.random.uniform(state.key[1])
    assert [str(x.dtype) for x in restored.counters] == ["int32", "uint8", "int32"]
    assert restored.params["half"].dtype == jnp.bfloat16


def test_other_generators_keep_their_kind(tmp_path):
    state = {"rbg": jax.random.key(3, impl="rbg"), "none": jax.random.split(jax.random.key(0), 4)[:0]}
    Checkpoints(tmp_path).save(1, state, {})
    assert_same(Checkpoints(tmp_path).restore(jax.eval_shape(lambda: state)).state, state)
    with pytest.raises(CheckpointError, match="rbg"):
        Checkpoints(tmp_path).restore({**state, "rbg": jax.random.key(3)})


def test_a_restored_state_can_be_donated_and_the_checkpoint_stays(tmp_path):
    saved = Checkpoints(tmp_path)
    state = {"x": jnp.arange(1024.0)}
    add = jax.jit(lambda s: jax.tree.map(lambda x: x + 1, s), donate_argnums=0)
    shapes = jax.eval_shape(lambda: state)
    saved.save(1, state, {})
    add(state)
    for _ in range(2):
        first = saved.restore(shapes).state
        np.testing.assert_array_equal(first["x"], np.arange(1024.0))
        add(first)


def test_keeps_the_last_few_and_the_best(tmp_path):
    saved = Checkpoints(tmp_path, keep_last=2)
    for step, score in [(1, 1.0), (2, 9.0), (3, float("nan")), (4, None), (5, 9.0 - 1e-6), (6, -5.0)]:
        saved.save(step, {"x": jnp.full(2, step)}, {}, score)
    assert saved.steps() == [2, 5, 6]
    assert saved.best_step() == 2
    assert saved.restore({"x": jnp.zeros(2, int)}, "best").state["x"][0] == 2
    assert saved.restore({"x": jnp.zeros(2, int)}, 5).step == 5
    assert saved.metadata("best") == {}
    saved.save(7, {"x": jnp.full(2, 7)}, {}, score=9.0)
    assert saved.best_step() == 7 and saved.steps() == [6, 7]


def test_saving_an_earlier_step_starts_the_history_again_from_there(tmp_path):
    saved = Checkpoints(tmp_path)
    for step in (10, 20, 30):
        saved.save(step, {"x": jnp.full(2, step)}, {}, score=step)
    saved.save(20, {"x": jnp.full(2, 21)}, {"again": True})
    assert saved.steps() == [10, 20]
    restored = saved.restore({"x": jnp.zeros(2, int)})
    assert restored.state["x"][0] == 21 and restored.metadata == {"again": True}


def _truncate(path):
    os.truncate(path, path.stat().st_size // 2)


def _garbage(path):
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 8] = bytes(b ^ 0xFF for b in content[middle : middle + 8])
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [_truncate, _garbage, pathlib.Path.unlink])
def test_any_damage_to_any_file_falls_back_to_the_last_good_checkpoint(tmp_path, damage):
    saved = Checkpoints(tmp_path, keep_last=4)
    template = {"x": jnp.zeros(300)}
    for step in (1, 2):
        saved.save(step, {"x": jnp.full(300, float(step)) + jnp.arange(300)}, {"step": step})
    files = [*data_files(tmp_path, 2), tmp_path / "2" / "metadata.json", tmp_path / "2" / "checksums.json"]
    assert len(files) > 5
    for file in files:
        before = file.read_bytes()
        damage(file)
        restored = saved.restore(template)
        assert (restored.step, restored.skipped, restored.metadata) == (1, [2], {"step": 1}), file
        assert restored.state["x"][0] == 1
        file.write_bytes(before)
    assert saved.restore(template).skipped == []


def test_a_damaged_checkpoint_is_replaced_when_its_step_is_reached_again(tmp_path):
    saved = Checkpoints(tmp_path)
    for step in (1, 2):
        saved.save(step, {"x": jnp.arange(3) + step}, {})
    _truncate(data_files(tmp_path, 2)[-1])
    again = saved.restore({"x": jnp.zeros(3, int)})
    assert (again.step, again.skipped) == (1, [2])
    saved.save(2, {"x": again.state["x"] + 1}, {})
    restored = saved.restore({"x": jnp.zeros(3, int)})
    assert (restored.step, restored.skipped, list(restored.state["x"])) == (2, [], [2, 3, 4])


def test_says_what_is_wrong_when_none_is_good(tmp_path):
    saved = Checkpoints(tmp_path / "nothing")
    with pytest.raises(CheckpointError, match="there is no checkpoint in"):
        saved.restore({})
    assert saved.steps() == [] and saved.best_step() is None
    for step in (1, 2):
        saved.save(step, {"x": jnp.zeros(3)}, {}, score=step)
        _truncate(data_files(saved.directory, step)[-1])
    with pytest.raises(CheckpointError, match=r"damaged \(2: state/.* has changed.*; 1: state/") as error:
        saved.restore({"x": jnp.zeros(3)})
    assert "\n" not in str(error.value)
    with pytest.raises(CheckpointError, match="damaged"):
        saved.restore({"x": jnp.zeros(3)}, 2)
    with pytest.raises(CheckpointError, match=r"no checkpoint 3 .* choose one of \[1, 2\]"):
        saved.restore({"x": jnp.zeros(3)}, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s._replace(carry=(jnp.zeros(2),)), r"it has no carry\[0\]"),
        (
            lambda s: s._replace(params={"special": s.params["special"]}),
            r"it has params\['Dense/0'\]\['kernel'\], which",
        ),
        (lambda s: s._replace(key=jax.random.key(0)), r"its key is key<fry>\[2\], but this run's is key<fry>\[\]"),
        (
            lambda s: s._replace(params={**s.params, "half": s.params["half"].astype(jnp.float16)}),
            r"its params\['half'\] is bfloat16\[7\], but this run's is float16\[7\]",
        ),
    ],
)
def test_another_state_is_refused_by_the_name_of_its_leaf(tmp_path, change, message):
    saved = Checkpoints(tmp_path)
    saved.save(1, make_state(), {})
    with pytest.raises(CheckpointError, match=message):
        saved.restore(change(make_state()))


def test_refuses_a_state_or_metadata_that_it_cannot_hold(tmp_path):
    saved = Checkpoints(tmp_path)
    with pytest.raises(TypeError, match=r"the leaf \['name'\] of the state is a str"):
        saved.save(1, {"name": "ppo"}, {})
    with pytest.raises(TypeError, match="metadata holds a set"):
        saved.save(1, {"x": jnp.zeros(2)}, {"bad": {1}})
    assert os.listdir(tmp_path) == []
    with pytest.raises(ValueError, match="keep_last=0"):
        Checkpoints(tmp_path, keep_last=0)


def test_a_full_disk_is_one_sentence_and_leaves_the_rest_alone(tmp_path, monkeypatch):
    saved = Checkpoints(tmp_path)
    saved.save(1, {"x": jnp.zeros(2)}, {})

    def full(self, path, arrays):
        (path / "part").mkdir(parents=True)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def full_by_tensorstore(self, path, arrays):
        raise ValueError("RESOURCE_EXHAUSTED: Failed to write [os_error_code='28']")

    for failure in (full, full_by_tensorstore):
        monkeypatch.setattr(Checkpoints, "_write_arrays", failure)
        with pytest.raises(UserError, match="cannot write .*: No space left on device; free some space"):
            saved.save(2, {"x": jnp.ones(2)}, {})
        assert os.listdir(tmp_path) == ["1"]
    assert saved.restore({"x": jnp.ones(2)}).step == 1


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot write .*file.*: Not a directory; choose a folder"):
        Checkpoints(tmp_path / "file" / "checkpoints").save(1, {"x": jnp.zeros(2)}, {})


def test_a_killed_process_leaves_only_whole_checkpoints(tmp_path):
    program = f"""
import jax.numpy as jnp
from jaxrl.experiment.checkpoints import Checkpoints
saved = Checkpoints({str(tmp_path)!r}, keep_last=2)
for step in range(1, 10**6):
    saved.save(step, {{"x": jnp.full(1000, step)}}, {{"step": step}}, score=-step)
    print(step, flush=True)
"""
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env=environment, text=True)
    for _ in range(3):
        last = int(process.stdout.readline())
    time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    last = max([last, *map(int, process.stdout.read().split())])
    process.wait()
    saved = Checkpoints(tmp_path, keep_last=2)
    restored = saved.restore({"x": jnp.zeros(1000, int)})
    assert restored.step >= last and restored.skipped == []
    assert restored.state["x"][-1] == restored.step == restored.metadata["step"]
    saved.save(restored.step + 1, {"x": jnp.zeros(1000)}, {})
    assert not list(tmp_path.glob(".*"))


def test_a_checkpoint_that_was_being_replaced_comes_back(tmp_path):
    Checkpoints(tmp_path).save(4, {"x": jnp.arange(3)}, {})
    (tmp_path / "4").rename(tmp_path / ".4.replaced")
    (tmp_path / ".4.new").mkdir()
    assert Checkpoints(tmp_path).restore({"x": jnp.zeros(3, int)}).state["x"][2] == 2


def test_ctrl_c_in_the_middle_of_a_save_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(folder):
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints_module, "_checksums", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Checkpoints(tmp_path).save(1, {"x": jnp.zeros(2)}, {})
    assert os.listdir(tmp_path) == []


def test_shards_of_several_devices_come_back_where_they_were(tmp_path):
    program = f"""
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
from jaxrl.experiment.checkpoints import Checkpoints
mesh = Mesh(np.array(jax.devices()), ("seeds",))
sharded, replicated = NamedSharding(mesh, P("seeds")), NamedSharding(mesh, P())
state = {{
    "x": jax.device_put(jnp.arange(8.0).reshape(4, 2), sharded),
    "key": jax.device_put(jax.random.split(jax.random.key(0), 4), sharded),
    "count": jax.device_put(jnp.uint32(3), replicated),
    "free": jnp.ones(()),
}}
saved = Checkpoints({str(tmp_path)!r})
saved.save(1, state, {{}})
where = lambda x: x.sharding if x.committed else None
shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=where(x)), state)
for template in (state, shapes):
    restored = saved.restore(template).state
    assert {{k: v.sharding for k, v in restored.items()}} == {{k: v.sharding for k, v in state.items()}}
    jax.jit(lambda s: s["x"].sum() + s["count"] + s["free"])(restored)
    assert (jax.random.key_data(restored["key"]) == jax.random.key_data(state["key"])).all()
    assert (restored["x"] == state["x"]).all()
"""
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "NPROC": "4", "JAX_PLATFORMS": "cpu"}
    environment = {**os.environ, **flags, "PYTHONPATH": os.getcwd()}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True, timeout=60)
    whole = {
        "x": jnp.zeros((4, 2)),
        "key": jax.random.split(jax.random.key(9), 4),
        "count": jnp.uint32(0),
        "free": jnp.zeros(()),
    }
    restored = Checkpoints(tmp_path).restore(whole).state
    np.testing.assert_array_equal(restored["x"], np.arange(8.0).reshape(4, 2))


def test_orbax_alone_can_read_the_arrays(tmp_path):
    import orbax.checkpoint as ocp

    Checkpoints(tmp_path).save(1, {"a": {"b": jnp.arange(3)}}, {"note": "x"}, score=2.0)
    arrays = ocp.StandardCheckpointer().restore(tmp_path / "1" / "state")
    np.testing.assert_array_equal(arrays["['a']['b']"], [0, 1, 2])
    record = json.loads((tmp_path / "1" / "metadata.json").read_text())
    assert record["step"] == 1 and record["score"] == 2.0 and record["metadata"] == {"note": "x"}


def test_saving_a_small_state_is_quick(tmp_path):
    state = {f"layer_{i}": {"kernel": jnp.ones((64, 64)), "bias": jnp.ones(64)} for i in range(30)}
    saved = Checkpoints(tmp_path)
    times = []
    for step in range(4):
        start = time.perf_counter()
        saved.save(step, state, {})
        times.append(time.perf_counter() - start)
    # Typically 0.1 s; the first one imports Orbax.
    assert min(times) < 0.3


def test_importing_does_not_import_orbax():
    program = "import sys, jaxrl.experiment.checkpoints; sys.exit('orbax' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, env={**os.environ, "PYTHONPATH": os.getcwd()})
