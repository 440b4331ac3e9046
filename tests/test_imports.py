"""What importing costs: a process of its own imports room after room, and says what came along."""

import json
import os
import subprocess
import sys

import pytest

JAX = {"jax", "numpy", "chex"}
ROOMS = {
    "jaxrl": set(),
    "jaxrl.experiment.presets": set(),
    "jaxrl.algorithms": set(),
    "jaxrl.experiment.cli": {"tyro"},
    "jaxrl.losses": JAX | {"tyro"},
    "jaxrl.buffers": JAX | {"tyro"},
    "jaxrl.exploration": JAX | {"tyro"},
    "jaxrl.schedules": JAX | {"tyro"},
    "jaxrl.envs": JAX | {"tyro", "gymnasium"},
    "jaxrl.training": JAX | {"tyro", "gymnasium"},
    "jaxrl.experiment.run": JAX | {"tyro", "gymnasium"},
    "jaxrl.networks": JAX | {"tyro", "gymnasium", "flax", "rich", "yaml", "msgpack"},
    "jaxrl.algorithms.ppo": JAX | {"tyro", "gymnasium", "flax", "rich", "yaml", "msgpack", "optax"},
}
"""Each with the packages that may be there once it and those above it are imported. flax brings rich, yaml, msgpack."""
PACKAGES = {
    *JAX, "PIL", "ale_py", "brax", "distrax", "flax", "gymnasium", "gymnax", "imageio", "matplotlib", "moviepy",
    "msgpack", "mujoco", "mujoco_playground", "optax", "orbax", "pandas", "pygame", "rich", "scipy", "tensorboardX",
    "tensorflow", "tensorflow_probability", "tyro", "wandb", "yaml",
}  # fmt: skip

SCRIPT = f"""
import importlib, json, os, sys, time
variables, found = dict(os.environ), {{}}
changed = lambda: sorted(k for k in os.environ.keys() | variables if os.environ.get(k) != variables.get(k))
start = time.process_time()
for room in {list(ROOMS)!r}:
    importlib.import_module(room)
    if room == "jaxrl":
        seconds, by_jaxrl = time.process_time() - start, changed()
    found[room] = sorted({PACKAGES!r} & set(sys.modules))

import jaxrl
assert set(jaxrl.__all__) <= set(dir(jaxrl))
assert all(getattr(jaxrl, name) is not None for name in jaxrl.__all__)
assert jaxrl.algorithms.ppo is jaxrl.algorithms.ALGORITHMS["ppo"]
assert callable(jaxrl.train) and callable(jaxrl.sweep) and callable(jaxrl.training.make_train)

from jax._src import xla_bridge
started = [xla_bridge.backends_are_initialized()]
jaxrl.envs.make("CartPole-v1")
started.append(xla_bridge.backends_are_initialized())
print(json.dumps(dict(found=found, seconds=seconds, started=started, by_jaxrl=by_jaxrl, changed=changed())))
"""


@pytest.fixture(scope="module")
def report():
    environment = {k: v for k, v in os.environ.items() if k not in ("NPROC", "PJRT_NPROC", "JAXRL_NPROC")}
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_importing_the_library_takes_no_time(report):
    assert report["seconds"] < 0.3


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_it_needs(room, report):
    assert set(report["found"][room]) <= ROOMS[room]


def test_imports_do_not_start_jax_nor_change_an_environment_variable(report):
    assert report["started"] == [False, True]
    assert report["by_jaxrl"] == []
    # By JAX and by Gymnasium, when they are imported.
    assert set(report["changed"]) <= {"TF_CPP_MIN_LOG_LEVEL", "TPU_SKIP_MDS_QUERY", "PYGAME_HIDE_SUPPORT_PROMPT"}
