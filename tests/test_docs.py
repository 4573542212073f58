"""What the pages say is there: names, arguments, links, commands; and the examples of docstrings do what they show."""

from __future__ import annotations

import argparse
import ast
import doctest
import importlib
import inspect
import io
import re
import shlex
import textwrap
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from conftest import ROOT, load_recipe, load_script

DOCS = ROOT / "docs"
BUILT = ("_build", "auto_gallery", "generated")  # by sphinx-build, out of what is tested here
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
    if not set(path.relative_to(ROOT).parts) & set(BUILT)
}
GALLERY = {path.stem: path.read_text(encoding="utf-8") for path in sorted((DOCS / "gallery").glob("*.py"))}
ROOMS = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "audioseq").rglob("*.py"))
    if path.name != "__init__.py"
}


def fenced(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


PYTHON = {name: fenced(text, "python") for name, text in PAGES.items() if fenced(text, "python")}
PYTHON |= {name: [text] for name, text in GALLERY.items()}


# -------------------------------------------------------------------------------------------- python snippets


def bound(tree: ast.Module) -> dict[str, Any]:
    """What the imports of a page out of audioseq are called there."""
    found: dict[str, Any] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "audioseq":
                    found[alias.asname or "audioseq"] = importlib.import_module("audioseq")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "audioseq":
            module = importlib.import_module(node.module or "")
            for alias in node.names:
                assert hasattr(module, alias.name), f"{node.module} has no {alias.name}"
                found[alias.asname or alias.name] = getattr(module, alias.name)
    return found


def resolved(node: ast.expr, names: dict[str, Any]) -> Any:
    """The module, class or function that an expression such as ``aq.models.gru`` names; None: it is none of ours."""
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        value = resolved(node.value, names)
        if isinstance(value, ModuleType) or inspect.isclass(value):
            assert hasattr(value, node.attr), f"there is no {ast.unparse(node)}"
            return getattr(value, node.attr)
    return None


def check_call(node: ast.Call, value: Any) -> None:
    """Whether it takes so many arguments, and those by name that a snippet gives it."""
    signature = inspect.signature(value.__init__ if inspect.isclass(value) else value)
    given = [None] * (len(node.args) + inspect.isclass(value))
    if any(isinstance(arg, ast.Starred) or ast.unparse(arg) == "..." for arg in node.args):
        return
    try:
        signature.bind(*given, **{word.arg: None for word in node.keywords if word.arg})
    except TypeError as error:
        if not any(word.arg is None for word in node.keywords):  # ``**options`` may have what is missing
            raise AssertionError(f"{ast.unparse(node)}: {error}") from error


@pytest.mark.parametrize("page", PYTHON)
def test_names_and_arguments_in_snippets_exist(page):
    trees = [ast.parse(textwrap.dedent(snippet)) for snippet in PYTHON[page]]
    names = {"aq": importlib.import_module("audioseq")}
    for tree in trees:
        compile(tree, page, "exec")
        names |= bound(tree)  # a later snippet goes on from an earlier one
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute):
                resolved(node, names)
            elif isinstance(node, ast.Call) and callable(value := resolved(node.func, names)):
                check_call(node, value)


def test_a_snippet_that_is_wrong_is_found():
    names = {"aq": importlib.import_module("audioseq")}
    with pytest.raises(AssertionError, match=r"there is no aq\.LogMell"):
        resolved(ast.parse("aq.LogMell").body[0].value, names)
    for wrong in ("aq.LogMel(mels=40)", "aq.load('a.wav', 16000)", "aq.Detector()"):
        call = ast.parse(wrong).body[0].value
        with pytest.raises(AssertionError, match=re.escape(wrong)):
            check_call(call, resolved(call.func, names))


# ------------------------------------------------------------------------------------------------------ links


def anchors(text: str) -> set[str]:
    """Of the headings, as GitHub and MyST make them."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def built() -> set[str]:
    """Pages that the build writes, within ``docs``."""
    reference = load_script("docs", "reference")
    pages = {f"generated/{name}" for name in ("index", *reference.WINGS)}
    return pages | {f"auto_gallery/{name}" for name in ("index", *GALLERY)}


@pytest.mark.parametrize("page", PAGES)
def test_links_between_pages_resolve(page):
    folder = (ROOT / page).parent
    for target in re.findall(r"\]\(([^)\s]+)\)", PAGES[page]):
        if re.match(r"https?:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (folder / path).resolve() if path else ROOT / page
        assert file.exists(), f"{page}: {target}"
        if anchor:
            assert anchor in anchors(file.read_text(encoding="utf-8")), f"{page}: {target}"
    roles = re.findall(r"\{doc\}`[^`<]*<([^`>]+)>`", PAGES[page])
    pages = built() if roles else set()
    for target in roles:
        path = DOCS / target[1:] if target.startswith("/") else folder / target
        assert path.resolve().relative_to(DOCS).as_posix() in pages, f"{page}: {target}"


def test_every_page_is_in_a_table_of_contents():
    listed = {"docs/index"}
    for page, text in PAGES.items():
        for contents in re.findall(r"^```\{toctree\}\n(.*?)^```", text, re.M | re.S):
            listed |= {str(Path(page).parent / line) for line in contents.split() if not line.startswith(":")}
    assert {page.removesuffix(".md") for page in PAGES if page.startswith("docs/")} <= listed


# --------------------------------------------------------------------------------------------------- commands


def commands(text: str, begins: str) -> list[list[str]]:
    """Words of the commands in the blocks of a page; an indented line goes on with the one above it."""
    found = []
    for block in fenced(text, "(?:sh|bash)?"):
        for line in re.sub(r"\n +", " ", block).splitlines():
            for part in re.sub(r"\s#\s.*", "", line).split("&&"):
                if part.strip().startswith(begins):
                    found.append(shlex.split(re.sub(r"[][|]", " ", part)))
    return found


def options(parser: argparse.ArgumentParser, words: list[str]) -> tuple[set[str], list[str]]:
    """The options of the command that the words name, and the words that are left."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction) and words:
            assert words[0] in action.choices, f"no command {words[0]}; there are {sorted(action.choices)}"
            return options(action.choices[words[0]], words[1:])
    return {name for action in parser._actions for name in action.option_strings}, words


def check_command(parser: argparse.ArgumentParser, words: list[str], page: str) -> None:
    known, rest = options(parser, words)
    unknown = [word for word in rest if word.startswith("--") and word not in known]
    assert not unknown, f"{page}: {' '.join(words)}"


@pytest.mark.parametrize("page", PAGES)
def test_commands_of_a_page_exist(page):
    main = importlib.import_module("audioseq.cli.main").parser()
    for words in commands(PAGES[page], "audioseq "):
        check_command(main, words[1:], page)
    for words in commands(PAGES[page], "python recipes/"):
        check_command(load_recipe(Path(words[1]).stem).parser(), words[2:], page)
    for words in commands(PAGES[page], "python benchmarks/"):
        source = (ROOT / words[1]).read_text(encoding="utf-8")
        assert all(f'"{word}"' in source for word in words if word.startswith("--")), f"{page}: {' '.join(words)}"


def test_a_command_that_is_wrong_is_found():
    page = (
        "```\naudioseq classify --model M FILE [FILE ...]   # which\naudioseq generate --out DIR\n    [--bar 16]\n```\n"
    )
    main = importlib.import_module("audioseq.cli.main").parser()
    right, wrong = commands(page, "audioseq ")
    check_command(main, right[1:], "page")
    with pytest.raises(AssertionError, match="--bar 16"):
        check_command(main, wrong[1:], "page")
    with pytest.raises(AssertionError, match="no command hear"):
        check_command(main, ["hear"], "page")


# -------------------------------------------------------------------------------------- reference and examples


def test_every_public_name_is_in_the_reference(tmp_path):
    import audioseq

    reference = load_script("docs", "reference")
    reference.write_reference(tmp_path)
    documented = set()
    for page in tmp_path.glob("*.rst"):
        text = page.read_text(encoding="utf-8")
        documented |= set(re.findall(r"^\.\. auto(?:class|exception|function|module):: (\S+)$", text, re.M))
        documented |= {".".join(pair[::-1]) for pair in re.findall(r"py:data:: (\S+)\n   :module: (\S+)$", text, re.M)}
    objects = [(name, importlib.import_module("audioseq"), name.split(".")[1:]) for name in documented]
    values = []
    for name, value, parts in objects:
        for part in parts:
            value = getattr(value, part)
        values.append(value)
        assert value is not None, name
    doors = [audioseq, *(getattr(audioseq, wing) for wing in reference.WINGS)]
    missing = [
        f"{door.__name__}.{name}"
        for door in doors
        for name in door.__all__
        if not name.startswith("__")
        and name not in reference.WINGS
        and not any(value is getattr(door, name) for value in values)
    ]
    assert not missing


def has_example(value: Any) -> bool:
    """Whether its own docstring, not that of a class above it, has a section of lines to type."""
    return "\n\nExample:\n    >>> " in inspect.cleandoc(value.__doc__ or "")


def test_every_function_and_class_at_the_door_has_an_example():
    """But for errors, which are met and not made."""
    import audioseq

    values = {name: getattr(audioseq, name) for name in audioseq.__all__}
    made = [name for name, value in values.items() if inspect.isroutine(value) or inspect.isclass(value)]
    errors = [name for name in made if inspect.isclass(values[name]) and issubclass(values[name], BaseException)]
    assert not [name for name in made if name not in errors and not has_example(values[name])]


def test_a_docstring_without_an_example_is_found():
    import audioseq

    class Heir(audioseq.LogMel):
        pass

    assert has_example(audioseq.LogMel)
    assert not has_example(Heir)
    assert not has_example(has_example)


def report_of(test: doctest.DocTest) -> str:
    """What went otherwise than an example shows."""
    out = io.StringIO()
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    doctest.DocTestRunner(optionflags=flags, verbose=False).run(test, out=out.write)
    return out.getvalue()


@pytest.mark.parametrize("room", [room for room, text in ROOMS.items() if ">>> " in text])
def test_examples_of_docstrings_do_what_they_show(room, tmp_path, monkeypatch):
    """`np` and `aq` are there, as in every page of the reference; all else an example imports."""
    import numpy as np

    import audioseq as aq

    monkeypatch.chdir(tmp_path)
    finder = doctest.DocTestFinder(exclude_empty=True)
    for test in finder.find(importlib.import_module(room), room, globs={"np": np, "aq": aq}):
        report = report_of(test)
        assert not report, report


def test_an_example_that_is_wrong_is_found():
    parse = doctest.DocTestParser().get_doctest
    assert not report_of(parse(">>> print(1 + 1, 'and   more')\n2 and ...\n", {}, "right", None, 0))
    assert "Expected:\n    3" in report_of(parse(">>> 1 + 1\n3\n", {}, "wrong", None, 0))
