"""The pages of the API reference, made out of the package's own stubs: no list of names is kept by hand."""

from __future__ import annotations

import ast
import importlib
import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

import audioseq

PACKAGE = Path(audioseq.__file__).parent


def exported(stub: Path) -> dict[str, list[str]]:
    """Public names of a stub by the module they are imported from; those of ``from . import`` under ``""``."""
    found: dict[str, list[str]] = {}
    for node in ast.parse(stub.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            found.setdefault(node.module or "", []).extend(alias.asname or alias.name for alias in node.names)
    return found


DOOR = exported(PACKAGE / "__init__.pyi")
AT_DOOR = {name for names in DOOR.values() for name in names}
WINGS = [name for name in DOOR[""] if (PACKAGE / name / "__init__.pyi").is_file()]


def public_names() -> list[str]:
    """Every public name of the package and its wings, as one types it."""
    names = [f"audioseq.{name}" for name in sorted(AT_DOOR)]
    for wing in WINGS:
        names += [path for room in rooms(wing).values() for path in room]
    return list(dict.fromkeys(names))


def rooms(wing: str) -> dict[str, list[str]]:
    """Rooms of a wing with their public names, each by the shortest path: ``audioseq.LogMel`` where it is there."""
    stub = exported(PACKAGE / wing / "__init__.pyi")
    found: dict[str, list[str]] = {room: [] for room in stub[""]}
    for room, names in stub.items():
        if room:
            found[room] = [shortest(wing, room, name) for name in names]
    return found


def shortest(wing: str, room: str, name: str) -> str:
    module = importlib.import_module(f"audioseq.{wing}.{room}")
    at_door = name in AT_DOOR and getattr(audioseq, name) is getattr(module, name)
    # a name that a room of the wing has too can only be reached through its own room
    hidden = getattr(getattr(audioseq, wing), name, None) is not getattr(module, name)
    return f"audioseq.{name}" if at_door else f"audioseq.{wing}.{room}.{name}" if hidden else f"audioseq.{wing}.{name}"


def resolve(path: str) -> Any:
    value: Any = audioseq
    for part in path.split(".")[1:]:
        value = getattr(value, part)
    return value


def write_reference(folder: Path) -> None:
    """A page of everything at the door, and one for each wing."""
    folder.mkdir(parents=True, exist_ok=True)
    wings = "\n".join(f"   {wing}" for wing in WINGS)
    contents = f".. toctree::\n   :maxdepth: 1\n   :caption: Wings\n\n{wings}\n"
    pages = {"index": f"{title('API reference')}\n{first_page()}\n{contents}"}
    pages |= {wing: wing_page(wing) for wing in WINGS}
    for name, text in pages.items():
        path = folder / f"{name}.rst"
        if not path.is_file() or path.read_text(encoding="utf-8") != text:  # else Sphinx would read it anew each time
            path.write_text(text, encoding="utf-8")
    for path in folder.glob("*.rst"):
        if path.stem not in pages:
            path.unlink()


def title(text: str, line: str = "=") -> str:
    return f"{text}\n{line * len(text)}\n"


def first_page() -> str:
    """What stands at the door, by the wing that it comes from."""
    text = (
        "``import audioseq as aq`` gives these names as ``aq.LogMel``, ``aq.load`` and so on; nothing is loaded before "
        "it is used.\nThe wings have what one needs less often.\n\n"
    )
    for module, names in DOOR.items():
        if not module:
            continue
        text += f"**{module}**\n\n" if module not in WINGS else f":doc:`{module}`\n\n"
        text += table([f"audioseq.{name}" for name in names])
    for module in sorted(set(DOOR) - {"", *WINGS}):
        text += title(module, "-") + f"\n.. automodule:: audioseq.{module}\n\n"
        text += "".join(described(f"audioseq.{name}", f"audioseq.{module}") for name in DOOR[module])
    return text


def wing_page(wing: str) -> str:
    text = title(wing) + f"\n{inspect.getdoc(getattr(audioseq, wing))}\n\n"
    for room, names in rooms(wing).items():
        module = f"audioseq.{wing}.{room}"
        text += title(room, "-") + f"\n.. automodule:: {module}\n\n"
        if len(names) > 1:
            text += table(names)
        text += "".join(described(path, module) for path in names)
    return text


def table(paths: list[str]) -> str:
    """Names with a line about each; constants, which have no docstring of their own, are left to the text below."""
    lines = [f"   {path}" for path in paths if not is_constant(resolve(path))]
    return ".. autosummary::\n   :nosignatures:\n\n" + "\n".join(lines) + "\n\n" if lines else ""


def is_constant(value: Any) -> bool:
    return not (inspect.isclass(value) or inspect.isroutine(value) or isinstance(value, ModuleType))


def described(path: str, module: str) -> str:
    """The directive that documents one name, which comes from `module`."""
    value = resolve(path)
    if inspect.isclass(value):
        kind = "autoexception" if issubclass(value, BaseException) else "autoclass"
        heir = any(base.__module__.startswith("audioseq") for base in value.__bases__)
        options = "   :members:\n   :special-members: __call__\n" + "   :show-inheritance:\n" * heir
        return f".. {kind}:: {path}\n{options}\n"
    if inspect.isroutine(value):
        return f".. autofunction:: {path}\n\n"
    shown = f"   :value: {value!r}\n" if len(repr(value)) <= 100 else ""
    where, name = path.rsplit(".", 1)
    return f".. py:data:: {name}\n   :module: {where}\n{shown}\n   {comment(name, module)}\n\n"


def comment(name: str, module: str) -> str:
    """What stands behind the line that gives a constant its value."""
    source = inspect.getsource(importlib.import_module(module))
    for node in ast.parse(source).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", node)]
        if any(isinstance(part, ast.Name) and part.id == name for target in targets for part in ast.walk(target)):
            return source.splitlines()[node.lineno - 1].partition("  # ")[2]
    raise ValueError(f"{module} gives {name} no value")
