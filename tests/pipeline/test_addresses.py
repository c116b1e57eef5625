"""Secrets in addresses: refused where they name a folder, never written or shown where they name weights."""

import io
import json

import pytest

from flows.addresses import restorer_of
from pipeline.addresses import redacted, visible
from pipeline.errors import JobError, RestoraError, StorageError, describe
from pipeline.jobs.job import Job
from pipeline.ledger.run_folder import begin_run, check_run
from pipeline.storage.folder import Folder
from tests.helpers import complete, metric_rows, photographs_in, restore

SECRET = "CANARYBIRD"

CREDENTIALS = [
    f"s3://KEY:ab/{SECRET}@bucket/x",
    f"s3://KEY:12/{SECRET}@bucket/x",
    f"s3://KEY:{SECRET}@bucket",
    f"s3://{SECRET}@bucket",
    f"simplecache::s3://K:{SECRET}@bucket/x",
    f"zip://a.png::s3://K:/{SECRET}@bucket/x.zip",
    f"https://me:{SECRET}@host/x",
    f"https://me:{SECRET}@host:8080/x",
    f"sftp://me:a/b{SECRET}@host/x",
]
SIGNED = [
    f"https://host/w.safetensors?X-Amz-Credential={SECRET}%2Fa&X-Amz-Signature={SECRET}&X-Amz-Expires=9",
    f"https://a.blob.core.windows.net/c/w.safetensors?sv=2024&sig={SECRET}%3D",
    f"https://host/w.safetensors?access_token={SECRET}",
    f"https://host/w.safetensors?a=1&api_key={SECRET}",
    f"https://storage.googleapis.com/b/w.safetensors?X-Goog-Signature={SECRET}",
    f"https://host/w.safetensors?AWSAccessKeyId={SECRET}&Signature={SECRET}",
]
HARMLESS = [
    *(
        "s3://bucket/me@home.org/x",
        "https://host:8080/a@b/c.png",
        "https://host/x?page=2&size=9",
        "/disk/a:b/c@d",
    ),
    *("file:///a:b/c@d", "s3://arn:aws:s3:eu-west-1:123456789012:accesspoint/me/a@b", "memory://x/y@z"),
]


@pytest.mark.parametrize("url", CREDENTIALS)
def test_credentials_in_any_link_of_an_address_are_refused_and_not_repeated(url):
    with pytest.raises(StorageError, match="environment or name a profile") as refusal:
        Folder(url)
    assert SECRET not in str(refusal.value)
    assert SECRET not in redacted(f"cannot list {url}: no")


@pytest.mark.parametrize("url", HARMLESS)
def test_other_addresses_stay_as_they_are(url):
    assert Folder(url).url == url.removeprefix("file://")
    assert redacted(f"cannot list {url}: no") == f"cannot list {url}: no"


@pytest.mark.parametrize("url", SIGNED)
def test_signatures_and_tokens_are_taken_out_of_every_message(url):
    shown = redacted(f"'{url}' and {url}, not found")
    assert SECRET not in shown
    assert shown.startswith("'https://")
    assert SECRET not in describe(OSError(f"404, message='Not Found', url='{url}'"))
    with pytest.raises(StorageError, match="signed address") as refusal:
        Folder(url)
    assert SECRET not in str(refusal.value)
    assert SECRET not in str(restorer_of(url, None)["name"])


def test_what_is_redacted_once_more_stays_and_a_sentence_keeps_its_marks():
    once = redacted(f"https://host/x?sig={SECRET}: no such file, nor https://host/y?a=1&token={SECRET}.")
    assert once == "https://host/x?sig=***: no such file, nor https://host/y?a=1&token=***."
    assert redacted(once) == once
    assert SECRET not in redacted(f"https://host/x?sig=***{SECRET}")


@pytest.mark.parametrize("url", [*CREDENTIALS, *SIGNED])
@pytest.mark.parametrize(
    "restorer",
    [
        {"name": "a", "weights": "URL"},
        {"name": "a", "solver": "plug_and_play", "denoiser": "URL"},
        {"name": "a", "solver": "generative_prior", "generator": "URL"},
    ],
    ids=["weights", "denoiser", "generator"],
)
def test_no_refusal_of_a_restorer_tells_the_secret_of_its_address(url, restorer, tmp_path, monkeypatch):
    monkeypatch.setenv("RESTORA_CONTACT_SECONDS", "0.1")
    monkeypatch.setattr("pipeline.recipe.weights.fetch", _no_network)
    photographs_in(tmp_path / "in", 1)
    spec = {name: url if value == "URL" else value for name, value in restorer.items()}
    job = restore(tmp_path / "in", tmp_path / "out", restorers=[spec])
    with pytest.raises(RestoraError) as refusal:
        check_run(job)
    assert SECRET not in str(refusal.value)
    assert str(refusal.value).startswith("restorers[0]")


def _no_network(url):
    raise OSError(f"cannot connect to {url}")


@pytest.mark.parametrize("url", [*CREDENTIALS, *SIGNED])
def test_no_refusal_of_a_job_tells_the_secret_of_a_dataset(url, tmp_path):
    for fields in ({"uri": url}, {"uri": [url]}, {"uri": str(tmp_path), "ur1": url}):
        with pytest.raises(RestoraError) as refusal:
            check_run(restore("", tmp_path / "out", datasets=[{"name": "d", **fields}]))
        assert SECRET not in str(refusal.value)
    assert not (tmp_path / "out").exists()
    (tmp_path / "job.toml").write_text(f'output = "{url}"\nx = {url}\n')
    with pytest.raises(JobError) as refusal:
        Job.from_toml(tmp_path / "job.toml")
    assert SECRET not in str(refusal.value)


@pytest.fixture
def signed_weights(tmp_path, monkeypatch):
    """A job with weights at a signed address, which is served out of a shipped file."""
    from models.weights import shipped_path

    data = shipped_path("ffdnet-colour").read_bytes()
    monkeypatch.setenv("RESTORA_CACHE", str(tmp_path / "cache"))
    import pipeline.recipe.weights as weights

    monkeypatch.setattr(weights, "_version", lambda url: "1")
    monkeypatch.setattr(Folder, "read", _serving(Folder.read, data))
    photographs_in(tmp_path / "in", 2)
    spec = {"name": "signed", "weights": SIGNED[0], "noise_level": 10}
    return restore(tmp_path / "in", tmp_path / "out", restorers=[spec])


def _serving(read, data):
    return lambda folder, key: data if folder.url.startswith("https://host") else read(folder, key)


def test_a_signature_is_in_nothing_that_a_run_leaves_and_the_run_goes_on_without_it(signed_weights, tmp_path):
    import pyarrow.parquet as pq

    complete(signed_weights)
    for path in (tmp_path / "out").rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            if path.suffix == ".parquet":
                table = pq.read_table(io.BytesIO(data))
                data += repr((table.to_pylist(), table.schema.metadata)).encode()
            assert SECRET.encode() not in data, path
    for path in (tmp_path / "cache").rglob("*"):
        assert SECRET not in str(path)
    written = Job.parse(json.loads((tmp_path / "out" / "_restora" / "job.json").read_text()))
    assert written.restorers[0].weights.endswith("Signature=***&X-Amz-Expires=9")
    begin_run(check_run(written))
    assert [row["status"] for row in metric_rows(written)] == ["ok", "ok"]


def test_what_steers_a_terminal_is_shown_as_an_escape():
    assert visible("a\x1b[31m\r\u202eb\x07\nc\u00fc\t") == "a\\x1b[31m\\r\\u202eb\\x07\nc\u00fc\t"
