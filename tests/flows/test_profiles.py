"""A named profile at the command line: credentials and endpoint come from the user's files alone."""

import os
import subprocess
import sys
from pathlib import Path

from pipeline.storage.folder import Folder
from tests.helpers import encoded, fill, photograph
from tests.moto_s3 import new_bucket

ROOT = Path(__file__).parents[2]


def restora(home: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    files = {
        "AWS_CONFIG_FILE": str(home / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(home / "credentials"),
    }
    return subprocess.run(
        [sys.executable, "-m", "flows.cli", *map(str, arguments)],
        cwd=ROOT,
        env=clean | files,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_profile_leads_to_its_endpoint_and_another_one_does_not(tmp_path, s3):
    bucket = new_bucket()
    fill(f"{bucket}/in", {f"{i}.png": encoded(photograph(i)) for i in range(3)})
    (tmp_path / "credentials").write_text(
        "[archive]\naws_access_key_id = test\naws_secret_access_key = planted-secret\n"
    )
    (tmp_path / "config").write_text(
        f"[profile archive]\nregion = us-east-1\nendpoint_url = {s3['AWS_ENDPOINT_URL']}\n"
    )
    command = ("restore", f"{bucket}/in", f"{bucket}/clean", "--restorer", "median", "--engine", "local")
    done = restora(tmp_path, *command, "--profile", "archive")
    assert done.returncode == 0, done.stdout + done.stderr
    assert Folder(bucket).exists("clean/0.png")
    read = restora(tmp_path, "verify", f"{bucket}/clean", "--profile", "archive")
    assert read.returncode == 0, read.stdout + read.stderr
    assert "3 ok" in read.stdout
    missing = restora(tmp_path, *command, "--profile", "elsewhere")
    assert missing.returncode == 1, missing.stdout + missing.stderr
    assert "no profile 'elsewhere'" in missing.stderr
    assert "there are: archive" in missing.stderr
    for each in (done, read, missing):
        assert "planted-secret" not in each.stdout + each.stderr
    folder = Folder(f"{bucket}/clean/_restora")
    keys = [entry.key for page in folder.pages() for entry in page]
    assert len(keys) > 5
    assert not [key for key in keys if b"planted-secret" in folder.read(key)]
