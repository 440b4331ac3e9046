"""The notebooks run from the first cell to the last."""

import os
from pathlib import Path

import pytest

nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")
pytest.importorskip("ipykernel")

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
SMALLER = {
    "compose": {"range(60)": "range(4)", "range(20)": "range(2)", "3_000": "200"},
    "sweep": {"30_000": "2_048", "-1.5, 8": "-1.5, 2", "num_intervals=20": "num_intervals=2"},
}
"""Numbers of a notebook that the quick tests replace."""


@pytest.fixture
def kernel_environment(monkeypatch):
    """What the kernel, a process of its own, inherits: a picture needs no window, and programs are compiled once."""
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".cache" / "jax"))
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


def test_there_are_notebooks():
    assert {n.stem for n in NOTEBOOKS} >= {"compose", "sweep"}


@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["smaller", "whole"])
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, whole, kernel_environment, tmp_path):
    notebook = nbformat.read(path, as_version=4)
    for old, new in ({} if whole else SMALLER.get(path.stem, {})).items():
        cells = [cell for cell in notebook.cells if cell.cell_type == "code" and old in cell.source]
        assert cells, f"{path.name} has no {old!r}"
        for cell in cells:
            cell.source = cell.source.replace(old, new)
    client = nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs(path):
    for cell in nbformat.read(path, as_version=4).cells:
        assert cell.cell_type != "code" or (not cell.outputs and cell.execution_count is None)
