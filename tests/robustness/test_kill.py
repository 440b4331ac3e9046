"""The command that kills runs sees what it looks for."""

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from jaxrl.experiment.loggers import CSVLogger
from jaxrl.experiment.tensorboard import TensorBoardLogger

COMMAND = Path(__file__).with_name("kill.py")


@pytest.fixture(scope="module")
def kill():
    spec = importlib.util.spec_from_file_location("kill", COMMAND)
    module = importlib.util.module_from_spec(spec)
    sys.modules["kill"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def two_runs(kill, tmp_path, monkeypatch):
    """Folders of a run and of its copy, without arrays."""
    straight, out = tmp_path / "straight", tmp_path / "out"
    for logger in CSVLogger(straight / "metrics.csv"), TensorBoardLogger(straight / "tensorboard"):
        for steps in (10, 20):
            logger.write([{"steps": steps, "seed": seed, "seconds": 1.5, "loss": 0.25} for seed in (0, 1)])
        logger.close()
    (straight / "summary.json").write_text(json.dumps({"final_return": [1.0, 2.0]}))
    shutil.copytree(straight, out)
    arrays = {straight: np.float32(1), out: np.float32(1)}
    monkeypatch.setattr(kill, "leaves", lambda directory: {"20 params": arrays[directory]})
    return straight, out, arrays


def write_again(out, steps, seeds):
    logger = TensorBoardLogger(out / "tensorboard")
    logger.write([{"steps": steps, "seed": seed, "loss": 0.25} for seed in seeds])
    logger.close()


def drop_file(out):
    next((out / "tensorboard" / "seed_1").iterdir()).unlink()


def replace(old, new):
    return lambda out: [
        (out / name).write_text((out / name).read_text().replace(old, new)) for name in ("metrics.csv", "summary.json")
    ]


@pytest.mark.parametrize(
    ("change", "host", "exact"),
    [
        (lambda out: None, 0, 0),
        (lambda out: write_again(out, 20, (0, 1)), 1, 1),
        (lambda out: write_again(out, 30, (0, 1)), 1, 2),
        (drop_file, 1, 2),
        (replace("20,1,1.5,0.25\n", ""), 2, 2),
        (replace("20,1,1.5,0.25\n", "20,1,1.5,0.5\n"), 0, 1),
        (replace("20,1,1.5,0.25\n", "20,1,3.5,0.25\n"), 0, 0),
        (replace("2.0", "3.0"), 0, 1),
    ],
    ids=["nothing", "double", "too much", "hole in TensorBoard", "hole in the table", "value", "time", "result"],
)
def test_what_differs_is_told(kill, two_runs, change, host, exact):
    straight, out, _ = two_runs
    change(out)
    assert len(kill.differences(straight, out, exact=False)) == host
    assert len(kill.differences(straight, out, exact=True)) == exact


def test_other_bits_are_told(kill, two_runs):
    straight, out, arrays = two_runs
    arrays[out] = np.nextafter(np.float32(1), np.float32(2))
    assert kill.differences(straight, out, exact=True) == ["the last checkpoint has other bits"]
    assert kill.differences(straight, out, exact=False) == []


@pytest.mark.slow
def test_it_kills_and_resumes():
    command = [sys.executable, str(COMMAND), "--runs", "3", "--cases", "dqn prioritised"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 kills in" in done.stdout and "0 of which differ" in done.stdout
