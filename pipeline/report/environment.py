"""How pages are written: templates beside this file, one style for all of them."""

from __future__ import annotations

import json
import shlex
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipeline.report import notation
from pipeline.report.reproduce import toml
from pipeline.wording import number_of

HERE = Path(__file__).parent


@cache
def environment() -> Environment:
    """Escapes whatever is no markup; an unknown name in a template is an error. It keeps its templates."""
    made = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["number_of"] = number_of
    made.filters["number"] = notation.number
    made.filters["p_value"] = notation.p_value
    made.filters["toml"] = toml
    made.filters["shell"] = shlex.quote
    made.filters["pretty"] = lambda value: json.dumps(value, indent=2, ensure_ascii=False, default=str)
    return made


def css() -> Markup:
    """The style sheet of every page."""
    return Markup((HERE / "page.css").read_text(encoding="utf-8"))
