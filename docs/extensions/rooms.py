"""Pages of the reference: one for each room of each floor, from what stands on the disk."""

import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.roles import XRefRole
from sphinx.util import logging

IDENTIFIER = re.compile(r"[A-Za-z_][\w.]*")
LOGGER = logging.getLogger(__name__)

FLOORS = ("golden", "hw", "sim", "synth", "train", "reports", "cli")
FOLDER = "reference"


def heading(text: str, mark: str) -> str:
    """Return a heading in reStructuredText."""
    return f"{text}\n{mark * len(text)}\n"


def is_documented(path: Path) -> bool:
    """Return whether a file has an API: packages stand elsewhere, benches are run by name."""
    return path.stem != "__init__" and not path.stem.startswith("tb_")


def modules(name: str, folder: Path) -> str:
    """Return the sections of the modules that lie directly in the package `name`."""
    parts = []
    for path in sorted(filter(is_documented, folder.glob("*.py"))):
        parts += [heading(path.stem, "-"), f".. automodule:: {name}.{path.stem}\n"]
    return "\n".join(parts)


def page(name: str, folder: Path, rooms: list[str]) -> str:
    """Return the page of a floor or a room."""
    parts = [heading(name.removeprefix("mubinn."), "=")]
    parts += [f".. automodule:: {name}\n   :no-members:\n"]
    if rooms:
        lines = "\n".join(f"   {name.removeprefix('mubinn.')}.{room}" for room in rooms)
        parts.append(f".. toctree::\n   :maxdepth: 1\n\n{lines}\n")
    return "\n".join([*parts, modules(name, folder)])


def write(path: Path, text: str) -> None:
    """Write a page where it changed, so that Sphinx reads no other again."""
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def write_pages(app: Sphinx) -> None:
    """Write the reference into the source folder, and remove pages of rooms that are gone."""
    target = Path(app.srcdir) / FOLDER
    target.mkdir(exist_ok=True)
    pages = {}
    for floor in FLOORS:
        name = f"mubinn.{floor}"
        [place] = import_module(name).__path__
        folder = Path(place)
        rooms = sorted(path.parent.name for path in folder.glob("*/__init__.py"))
        pages[floor] = page(name, folder, rooms)
        for room in rooms:
            pages[f"{floor}.{room}"] = page(f"{name}.{room}", folder / room, [])
    floors = "\n".join(f"   {floor}" for floor in FLOORS)
    pages["index"] = f"{heading('Reference', '=')}\n.. toctree::\n   :maxdepth: 2\n\n{floors}\n"
    for old in target.glob("*.rst"):
        if old.stem not in pages:
            old.unlink()
    for stem, text in pages.items():
        write(target / f"{stem}.rst", text)


def name(
    role: str, rawtext: str, text: str, lineno: int, inliner: Any, *more: Any
) -> tuple[list[Any], list[Any]]:
    """Role of single backticks: full names and those of the module are references where known."""
    module = inliner.document.settings.env.ref_context.get("py:module")
    if text.startswith("mubinn."):
        target = text
    elif module and IDENTIFIER.fullmatch(text):
        target = f"{text} <{module}.{text}>"
    else:
        return [nodes.literal(rawtext, text)], []
    return XRefRole()("py:obj", rawtext, target, lineno, inliner, *more)


def join_members(_: Sphinx, __: str, ___: str, ____: Any, _____: Any, lines: list[str]) -> None:
    """Put each of the members of a component on one line, as napoleon has it, its shape whole."""
    k = lines.index("Members") if "Members" in lines else len(lines)
    while k + 1 < len(lines):
        if lines[k].count("(") > lines[k].count(")"):
            lines[k] += f" {lines.pop(k + 1).strip()}"
        else:
            k += 1


def complain(_: Sphinx, __: BuildEnvironment, node: pending_xref, ___: nodes.Element) -> None:
    """Warn of full names in prose that lead nowhere; those in signatures may be aliases."""
    target = str(node["reftarget"])
    module, _, name = target.rpartition(".")
    if isinstance(getattr(sys.modules.get(module), name, None), TypeVar):
        return
    prose = node["reftype"] != "class" and not node.get("refexplicit", True)
    if prose and target.startswith("mubinn."):
        LOGGER.warning("no such name: %s", target, location=node)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_role("name", name)
    app.connect("missing-reference", complain)
    app.connect("autodoc-process-docstring", join_members, priority=100)  # before napoleon
    app.connect("builder-inited", write_pages)
    return {"parallel_read_safe": True}
