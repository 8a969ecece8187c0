"""Digests of code: what a module and everything it imports from hdrbench do, whatever their comments say.

A training run depends on such a digest instead of on source files, so that editing a comment, a docstring or the layout
re-runs nothing, and editing one method retrains that method alone.
"""

import ast
import hashlib
import json
from functools import cache
from pathlib import Path

import hdrbench
from hdrbench.datasets import catalog
from hdrbench.errors import HdrbenchError


def _dump(node: object) -> str:
    """Write a syntax tree as text that is the same under every Python version, without docstrings and other bare strings.

    `ast.dump` will not do, because newer versions add fields and leave out empty ones.
    """
    if isinstance(node, list):
        return f"[{','.join(_dump(item) for item in node if not _is_bare_string(item))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = [(name, value) for name, value in ast.iter_fields(node) if value is not None and value != []]
    return f"{type(node).__name__}({','.join(f'{name}={_dump(value)}' for name, value in fields)})"


def _is_bare_string(node: object) -> bool:
    is_constant = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return is_constant and isinstance(node.value.value, str)  # type: ignore[attr-defined]


@cache
def _source(module: str) -> Path | None:
    """File of a module of hdrbench, or None if there is no such module; found by path, because importing brings in torch."""
    first, *rest = module.split(".")
    if first != "hdrbench":
        return None
    for base in hdrbench.__path__:
        stem = Path(base, *rest)
        for path in (stem / "__init__.py", stem.with_suffix(".py")):
            if path.is_file():
                return path
    return None


def _imports(tree: ast.AST) -> set[str]:
    """Modules of hdrbench that a syntax tree may import: every imported name could be a module."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name for name in found if name.split(".")[0] == "hdrbench"}


def closure(*modules: str) -> list[str]:
    """List the given modules and all modules of hdrbench they import, directly or not, wherever in the file.

    Packages on the way down to a module count too, because importing it runs them.

    Raises
    ------
    HdrbenchError
        If a given module does not exist.
    """
    seen: set[str] = set()
    waiting = list(modules)
    for module in modules:
        if _source(module) is None:
            raise HdrbenchError(f"no module '{module}' to take a digest of")
    while waiting:
        module = waiting.pop()
        path = _source(module)
        if module in seen or path is None:
            continue
        seen.add(module)
        parts = module.split(".")
        waiting += [".".join(parts[:n]) for n in range(1, len(parts))]
        waiting += _imports(ast.parse(path.read_text(encoding="utf-8")))
    return sorted(seen)


@cache
def code_digest(*modules: str) -> str:
    """Return a hash of the syntax trees of `closure(*modules)`, docstrings left out."""
    digest = hashlib.sha256()
    for module in closure(*modules):
        path = _source(module)
        assert path is not None
        tree = ast.parse(path.read_text(encoding="utf-8"))
        digest.update(f"{module}\n{_dump(tree)}\n".encode())
    return digest.hexdigest()[:16]


def text_digest(content: object) -> str:
    """Return a hash of JSON-able content."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def train_code(method: str, task: str) -> str:
    """Return the digest of the code that trains a method on a task."""
    return code_digest(
        "hdrbench.pipeline.train", f"hdrbench.pipeline.tasks.{task}.inputs", f"hdrbench.methods.{method}"
    )


def evaluate_code(method: str, task: str) -> str:
    """Return the digest of the code that scores a method on a task."""
    parts = [f"hdrbench.pipeline.tasks.{task}.{part}" for part in ("inputs", "outputs")]
    return code_digest("hdrbench.pipeline.evaluate", *parts, f"hdrbench.methods.{method}")


def data_code(dataset: str, task: str) -> str:
    """Return the digest of the code that makes a data set's scenes and prepares them for a task."""
    loader = f"hdrbench.datasets.{catalog.card(dataset).loader}"
    return code_digest("hdrbench.pipeline.prepare", f"hdrbench.pipeline.tasks.{task}.inputs", loader)
