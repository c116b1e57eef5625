"""What Prefect keeps of a flow's parameters: no passwords, signatures or tokens.

Whoever starts a flow run sends its parameters to the server, which stores them before any code of ours runs.
So a job with a secret in it is refused, and what is stored of it is redacted.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.flows import Flow
from pydantic import BaseModel

from pipeline.addresses import credentials_in, has_secret, redacted_values
from pipeline.errors import JobError


def refuse_secrets(name: str, parameter: BaseModel | str) -> None:
    """``JobError`` that names the first field of a parameter with a secret in its address."""
    plain = parameter if isinstance(parameter, str) else parameter.model_dump(mode="json")
    for where, text in _texts(plain, name):
        if has_secret(text) or credentials_in(text) is not None:
            raise JobError(
                f"{where}: a secret in an address has no place in a flow's parameters, which Prefect stores "
                "and shows; set credentials in the worker's environment, name a profile, or copy the file to "
                "a store that the worker has access to. What was stored is redacted now; revoke the secret"
            )


def forget_secrets(flow: Flow[Any, Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Redacts the stored parameters of a run that failed; Prefect calls it."""
    parameters = flow_run.parameters
    kept = redacted_values(parameters)
    if kept != parameters:
        with get_client(sync_client=True) as client:
            client.update_flow_run(flow_run.id, parameters=kept)


def _texts(value: Any, where: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, dict):
        for name, each in value.items():
            yield from _texts(each, f"{where}.{name}")
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _texts(each, f"{where}[{index}]")


class _WithoutParameters(logging.Filter):
    """Prefect logs parameters that do not fit as they are, a secret or a patient's name in them or not."""

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if text.startswith("Parameter validation failed"):
            record.msg = text.partition(": ")[0] + "; what is wrong is in the state of the flow run"
            record.args = ()
        return True


logging.getLogger("prefect.flows").addFilter(_WithoutParameters())
