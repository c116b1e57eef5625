"""What makes a run again, as lines to paste into a shell: the job as TOML, and the commands."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

from pipeline.addresses import redacted_values
from pipeline.jobs.job import Job

_BARE_KEY = re.compile(r"^[A-Za-z0-9_-]+$")


def commands(job: Job, quarantined: bool) -> list[str]:
    """Lines for a POSIX shell, without comments, which an interactive zsh does not take."""
    fields = job.model_dump(mode="json", exclude_defaults=True, exclude_none=True) | {"kind": job.kind}
    written = redacted_values(fields)  # a signed address of weights is read from the cache of its machine
    profile = f" --profile {shlex.quote(job.output_profile)}" if job.output_profile else ""
    output = shlex.quote(job.output) + profile
    lines = ["cat > job.toml <<'END_OF_JOB'", *toml(written).splitlines(), "END_OF_JOB"]
    lines += ["restora benchmark job.toml", f"restora verify {output}"]
    return [*lines, f"restora retry {output}"] if quarantined else lines


def toml(fields: Mapping[str, Any]) -> str:
    """Plain values as TOML 1.0, one line a field; ``None`` is left out, as a field that is not there."""
    return "".join(f"{_key(name)} = {_value(each)}\n" for name, each in fields.items() if each is not None)


def _key(name: str) -> str:
    return name if _BARE_KEY.match(name) else _text(name)


def _text(text: str) -> str:
    # JSON's escapes are TOML's; only DEL is legal in JSON as it stands.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        pairs = [f"{_key(name)} = {_value(each)}" for name, each in value.items() if each is not None]
        return "{ " + ", ".join(pairs) + " }" if pairs else "{}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(each) for each in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, int | float) else _text(str(value))
