from functools import cache

import pytest
import typer.testing

from tests.flows.prefect_service import prefect_service

# The tree of all commands takes a twentieth of a second: each call in this process would build it again.
typer.testing._get_command = cache(typer.testing._get_command)


@pytest.fixture(scope="session")
def service(tmp_path_factory):
    """A Prefect server with the deployments, and a worker; once: they take half a minute of a core."""
    with prefect_service(tmp_path_factory.mktemp("prefect")) as running:
        yield running
