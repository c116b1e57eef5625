"""A named profile at the command line: credentials and endpoint come from the user's files alone."""

import os
from pathlib import Path

from typer.testing import CliRunner

from flows.cli.app import app
from pipeline.storage.folder import Folder
from tests.helpers import encoded, fill, photograph
from tests.moto_s3 import new_bucket


def use_files_alone(home: Path, patch) -> None:
    """The environment names a user's two files, and nothing else of S3."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        patch.delenv(name)
    patch.setenv("AWS_CONFIG_FILE", str(home / "config"))
    patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(home / "credentials"))


def restora(*arguments: object) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of the command in this process, which has imported everything already."""
    done = CliRunner().invoke(app, [str(each) for each in arguments])
    return done.exit_code, done.stdout, done.stderr


def test_a_profile_leads_to_its_endpoint_and_another_one_does_not(tmp_path, s3, monkeypatch):
    bucket = new_bucket()
    fill(f"{bucket}/in", {f"{i}.png": encoded(photograph(i)) for i in range(3)})
    (tmp_path / "credentials").write_text(
        "[archive]\naws_access_key_id = test\naws_secret_access_key = planted-secret\n"
    )
    (tmp_path / "config").write_text(
        f"[profile archive]\nregion = us-east-1\nendpoint_url = {s3['AWS_ENDPOINT_URL']}\n"
    )
    command = ("restore", f"{bucket}/in", f"{bucket}/clean", "--restorer", "median", "--engine", "local")
    with monkeypatch.context() as patch:
        use_files_alone(tmp_path, patch)
        done = restora(*command, "--profile", "archive")
        read = restora("verify", f"{bucket}/clean", "--profile", "archive")
        missing = restora(*command, "--profile", "elsewhere")
    assert done[0] == 0, done
    assert Folder(bucket).exists("clean/0.png")
    assert read[0] == 0, read
    assert "3 ok" in read[1]
    assert missing[0] == 1, missing
    assert "no profile 'elsewhere'" in missing[2]
    assert "there are: archive" in missing[2]
    assert "planted-secret" not in repr((done, read, missing))
    folder = Folder(f"{bucket}/clean/_restora")
    keys = [entry.key for page in folder.pages() for entry in page]
    assert len(keys) > 5
    assert not [key for key in keys if b"planted-secret" in folder.read(key)]
