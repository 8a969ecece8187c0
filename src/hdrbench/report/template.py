"""What both pages share: the Jinja environment, inlined assets, safe embedding."""

import json
import math
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

_HERE = Path(__file__).parent


@cache
def environment() -> Environment:
    """Return the Jinja environment of the templates; everything is escaped unless it is Markup."""
    env = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters |= {"when": when, "duration": duration, "csstext": css_text, "plain": plain}
    env.globals["asset"] = asset
    return env


def asset(name: str) -> Markup:
    """Return the text of a style sheet or script of this package, to be inlined as it is."""
    return Markup((_HERE / "assets" / name).read_text(encoding="utf-8"))


def json_blob(data: Any) -> Markup:
    """Serialise data for a ``<script type="application/json">``: no markup can close it, and NaN becomes null."""
    text = json.dumps(_finite(data), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return Markup(text)


def _finite(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data


def when(stamp: str | None) -> str:
    """Show an ISO time as ``2026-11-21 02:00 UTC``; what is no time is shown as it is."""
    try:
        return datetime.fromisoformat(stamp or "").strftime("%Y-%m-%d %H:%M UTC")
    except ValueError:
        return stamp or ""


def duration(seconds: float | None) -> str:
    """Show seconds as ``12.3 s``, ``4 min 10 s`` or ``3 h 20 min``."""
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def plain(value: Any) -> str:
    """Show a setting: words as they are, lists and mappings as ``a, b`` and ``key = a``, in brackets where they nest."""
    if isinstance(value, dict):
        return ", ".join(f"{key} = {_inner(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_inner, value))
    if value is None:
        return "none"
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)


def _inner(value: Any) -> str:
    return f"({plain(value)})" if isinstance(value, dict | list | tuple) else plain(value)


def css_text(text: str) -> Markup:
    """Quote text for a CSS ``content`` property; anything but letters and digits is written as a code point."""
    return Markup('"' + "".join(c if c.isalnum() else f"\\{ord(c):x} " for c in text) + '"')
