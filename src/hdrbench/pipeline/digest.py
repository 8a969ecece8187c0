"""Digests of code: what a module and everything it imports from hdrbench do, whatever their comments say.

A training run depends on such a digest instead of on source files, so that editing a comment, a docstring or the layout
re-runs nothing, and editing one method retrains that method alone.
"""

import ast
import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from hdrbench.datasets import catalog
from hdrbench.errors import HdrbenchError


class _StripDocstrings(ast.NodeTransformer):
    """Remove docstrings and other bare strings."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        """Drop expressions that are only a string."""
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_text else node


@cache
def _source(module: str) -> Path | None:
    """File of a module of hdrbench, or None if there is no such module or it is a namespace package."""
    try:
        spec = find_spec(module)
    except ModuleNotFoundError:
        return None
    return Path(spec.origin) if spec and spec.origin else None


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


def code_digest(*modules: str) -> str:
    """Return a hash of the syntax trees of `closure(*modules)`, docstrings left out."""
    digest = hashlib.sha256()
    for module in closure(*modules):
        path = _source(module)
        assert path is not None
        tree = _StripDocstrings().visit(ast.parse(path.read_text(encoding="utf-8")))
        digest.update(module.encode() + ast.dump(tree).encode())
    return digest.hexdigest()[:16]


def data_code(dataset: str) -> str:
    """Return the digest of the code that makes and prepares a data set's scenes."""
    return code_digest("hdrbench.pipeline.prepare", f"hdrbench.datasets.{catalog.card(dataset).loader}")
