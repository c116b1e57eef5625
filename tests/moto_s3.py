"""An S3 endpoint on loopback."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def running_s3() -> Iterator[dict[str, str]]:
    """The environment that leads s3fs there; credentials are what moto takes."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
    finally:
        server.stop()


def new_bucket() -> str:
    """URL of an empty bucket at the endpoint of the environment."""
    import s3fs

    name = f"restora-{uuid.uuid4().hex[:12]}"
    # One client for each endpoint: botocore takes a quarter of a second to read what S3 is.
    s3fs.S3FileSystem(endpoint_url=os.environ["AWS_ENDPOINT_URL"], use_listings_cache=False).mkdir(name)
    return f"s3://{name}"
