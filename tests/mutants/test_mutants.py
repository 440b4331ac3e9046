import ast
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def mutants():
    sys.path.insert(0, str(HERE))
    try:
        from mutant import load_mutants

        return load_mutants()
    finally:
        sys.path.remove(str(HERE))


def test_every_mutant_applies_once_and_compiles(mutants):
    from mutant import KINDS, ROOT

    assert len({m.id for m in mutants}) == len(mutants)
    assert all(m.kind in KINDS and m.old != m.new for m in mutants)
    for m in mutants:
        compile(m.applied_to((ROOT / m.file).read_text()), m.id, "exec")


def test_the_tests_of_every_mutant_are_there_by_default(mutants):
    from mutant import ROOT

    for test in {test for m in mutants for test in m.tests.split()}:
        path, *names = test.split("[")[0].split("::")
        tree = ast.parse((ROOT / path).read_text())
        assert path.startswith("tests/") and not _behind_a_marker(tree.body), test
        functions = {f.name: f for f in tree.body if isinstance(f, ast.FunctionDef)}
        for name in names:
            marks = ast.unparse(functions[name]).split("def ")[0]
            assert "mark.slow" not in marks and "mark.learning" not in marks, test


def _behind_a_marker(statements):
    marks = [ast.unparse(s) for s in statements if isinstance(s, ast.Assign)]
    return any(m.startswith("pytestmark") and ("mark.slow" in m or "mark.learning" in m) for m in marks)
