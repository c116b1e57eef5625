"""Which errors Prefect tries again: those that waiting can cure."""

import pytest
from prefect.states import Failed

from flows.retries import may_pass
from pipeline.errors import FolderNotFound, JobError, RunStopped, StorageError
from pipeline.storage.folder import Folder


def test_a_missing_folder_is_not_waited_for(tmp_path):
    (tmp_path / "file").touch()
    for name in ("absent", "file"):
        with pytest.raises(FolderNotFound, match="cannot list") as caught:
            list(Folder(str(tmp_path / name)).pages())
        assert not may_pass(None, None, Failed(data=caught.value))


@pytest.mark.parametrize(
    ("error", "again"),
    [(JobError("x"), False), (RunStopped("x"), False), (StorageError("x"), True), (OSError("x"), True)],
)
def test_other_errors(error, again):
    assert may_pass(None, None, Failed(data=error)) == again
