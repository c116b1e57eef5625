import uuid

import pytest

from pipeline.ledger.ledger import Ledger, prefix_of
from pipeline.ledger.schema import schema
from pipeline.storage.folder import Folder


@pytest.fixture(params=["disk", "memory"])
def ledger(request, tmp_path):
    place = str(tmp_path) if request.param == "disk" else f"memory://{uuid.uuid4().hex}"
    return Ledger(Folder(place), prefix_of("ab" * 32), schema(["psnr"]))
