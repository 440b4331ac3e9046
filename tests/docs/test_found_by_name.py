"""The tests of a module stand where its name says, or where docs/mutants.md does."""

import re
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parents[2]


def elsewhere():
    """Patterns of modules and their test files, as the page has them."""
    rows = re.findall(r"^\| `(jaxrl/\S+)` \|(.*)\|$", (ROOT / "docs" / "mutants.md").read_text(), re.MULTILINE)
    return {module: re.findall(r"`(tests/\S+)`", tests) for module, tests in rows}


def test_every_module_outside_algorithms_has_tests_that_are_found_by_its_name():
    modules = [path.relative_to(ROOT) for path in (ROOT / "jaxrl").rglob("*.py") if not path.name.startswith("__")]
    modules = [module for module in modules if module.parts[1] != "algorithms"]
    table, missing = elsewhere(), []
    for module in modules:
        mirror = ROOT / "tests" / Path(*module.parts[1:-1]) / f"test_{module.name}"
        if not mirror.exists() and not any(fnmatch(str(module), pattern) for pattern in table):
            missing.append(str(module))
    assert not missing, "without tests of their name, nor a row in docs/mutants.md"
    for pattern, tests in table.items():
        assert any(fnmatch(str(module), pattern) for module in modules), pattern
        assert tests and all((ROOT / test).exists() for test in tests), pattern
