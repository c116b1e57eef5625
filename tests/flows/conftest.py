import pytest

from tests.flows.prefect_service import prefect_service


@pytest.fixture(scope="session")
def service(tmp_path_factory):
    """A Prefect server with the deployments, and a worker; once: they take half a minute of a core."""
    with prefect_service(tmp_path_factory.mktemp("prefect")) as running:
        yield running
