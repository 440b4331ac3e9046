"""The table of floors in docs/architecture.md is true of the imports."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "jaxrl"
ENTRY_POINTS = ("__init__.py", "__main__.py")
"""What stands above all floors: it only hands on names."""


def room_of(parts):
    """The room of a module ``jaxrl.<parts>``: a package below ``jaxrl``, or the ground floor's files."""
    return parts[0] if (PACKAGE / parts[0]).is_dir() else "ground"


def table():
    """Floor and imports by room, as the page has them."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    rows = re.findall(r"^\| (\d) \| `?(\w+)`? \|[^|]*\|([^|]*)\|$", text, re.MULTILINE)
    return {
        room: (int(floor), {name for name in re.split(r"[,\s]+", imports) if name}) for floor, room, imports in rows
    }


def imports():
    """What each room's files import from other rooms."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).parts
        if len(parts) == 1 and parts[0] in ENTRY_POINTS:
            continue
        room = room_of((parts[0].removesuffix(".py"),))
        used = found.setdefault(room, set())
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Import(names=names):
                    modules = [name.name for name in names]
                case ast.ImportFrom(module="jaxrl", names=names):
                    modules = [f"jaxrl.{name.name}" for name in names if not name.name.startswith("__")]
                case ast.ImportFrom(module=str(module)):
                    modules = [module]
                case _:
                    continue
            used |= {room_of(m.split(".")[1:]) for m in modules if m.startswith("jaxrl.")} - {room}
    return found


def test_the_table_has_every_room():
    assert set(table()) == set(imports())


def test_rooms_import_what_the_table_says():
    assert imports() == {room: used for room, (_, used) in table().items()}


def test_rooms_import_from_lower_floors_only():
    floors = {room: floor for room, (floor, _) in table().items()}
    for room, used in imports().items():
        assert all(floors[other] < floors[room] for other in used), room
