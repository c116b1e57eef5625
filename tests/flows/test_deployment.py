"""The real thing: a Prefect server, a worker, and `prefect deployment run ... --watch`."""

import json
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import duckdb
import pytest

from tests.flows.photographs import job_fields, put_photographs
from tests.flows.prefect_service import ROOT
from tests.killing import lives

pytestmark = pytest.mark.slow
SECRET = "CANARYBIRD"


def command(service, deployment, job, options, check=True):
    """As somebody types it, who waits for the end."""
    parameters = ("-p", f"job={json.dumps(job)}", "-p", f"options={json.dumps(options)}")
    watch = ("--watch", "--watch-interval", "2", "--watch-timeout", "600")
    done = service("deployment", "run", deployment, *parameters, *watch, check=False)
    newest = service.runs()[0]
    assert not check or done.returncode == 0, f"{done.stdout}\n" + "\n".join(service.logs(newest["id"]))
    return done, newest


def run(service, deployment, job, options):
    """The same through the server's API, without the seconds of a core that the command takes to start."""
    known = service.ask(f"/deployments/name/{deployment}")
    wanted = {"parameters": {"job": job, "options": options}, "state": {"type": "SCHEDULED"}}
    identity = service.ask(f"/deployments/{known['id']}/create_flow_run", wanted)["id"]
    ended = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
    _wait(lambda: service.ask(f"/flow_runs/{identity}")["state_type"] in ended, 600)
    return service.ask(f"/flow_runs/{identity}")


def wait_for_words(service, flow_run, words):
    """In the log of a run that has ended: the last lines come after its state."""
    _wait(lambda: words in "\n".join(service.logs(flow_run["id"])), 60, lambda: service.logs(flow_run["id"]))


def test_benchmark_bulk_runs_on_ray_fails_with_everything_written_and_a_second_run_does_nothing(
    service, tmp_path
):
    """A run of a deployment takes ten seconds of a core before it does anything: two of them show it all."""
    put_photographs(tmp_path / "images", 6)
    (tmp_path / "images" / "bad.png").write_bytes(b"no picture at all")
    job = job_fields(tmp_path / "images", tmp_path / "out")
    with notified(service, tmp_path) as notes:
        done, first = command(service, "benchmark/bulk", job, {"engine": "ray", "workers": 1}, check=False)
        _wait(lambda: notes, 180)
    assert "1 of 7 images" in notes[0]["text"]
    assert f"restora retry {tmp_path / 'out'}" in notes[0]["text"]
    assert first["name"] == job["name"]
    assert done.returncode != 0
    assert first["state_name"] == "TooManyQuarantined"
    assert "1 of 7 images" in first["state"]["message"]
    _wait(lambda: len(told_of(service, job)) >= 2, 180)  # the server stores events in batches, a while later
    events = told_of(service, job)
    assert events.keys() == {"restora.run.finished", "restora.run.quarantine"}
    assert events["restora.run.quarantine"]["above_threshold"] is True
    assert events["restora.run.finished"]["whole"] is True

    table = tmp_path / "out" / "tables" / "metrics.parquet"
    rows = duckdb.sql(f"select status, count(*) from '{table}' group by 1 order by 1").fetchall()
    assert rows == [("ok", 12), ("quarantined", 2)]
    assert (tmp_path / "out" / "report" / "index.html").stat().st_size > 10_000

    artifacts = service.artifacts(first["id"])
    assert [each["data"] for each in artifacts["progress"]] == [100.0]
    summary = json.loads(artifacts["table"][0]["data"])
    assert {row["restorer"] for row in summary} == {"identity", "median"}
    assert str(table) in artifacts["markdown"][0]["data"]
    for words in ("7 of 7 images", "quarantined: 1 x UNREADABLE"):
        wait_for_words(service, first, words)

    before = duckdb.sql(f"from '{table}'").fetchall()
    second = run(service, "benchmark/bulk", job | {"quarantine": {"threshold": 0.5}}, {"engine": "auto"})
    assert second["state_type"] == "COMPLETED"
    wait_for_words(service, second, "7 sources, 7 done already, 0 to do in 0 units")
    assert duckdb.sql(f"from '{table}'").fetchall() == before


def told_of(service, job) -> dict:
    """Our events of this run, not of those before it on the same server, with what they tell."""
    ours = {"filter": {"event": {"prefix": ["restora."]}, "order": "ASC"}}
    found = service.ask("/events/filter", ours)["events"]
    return {each["event"]: each["payload"] for each in found if each["payload"]["output"] == job["output"]}


@contextmanager
def notified(service, folder):
    """The shipped automations, all enabled, with a block that posts to this process; what it posted."""
    notes = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            notes.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    receiver = HTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=receiver.serve_forever)
    thread.start()
    code = (
        "from prefect.blocks.notifications import CustomWebhookNotificationBlock as Block; "
        f"url = 'http://127.0.0.1:{receiver.server_port}'; "
        "block = Block(name='x', url=url, json_data={'text': '{{body}}'}); "
        "print(block.save('restora', overwrite=True))"
    )
    made = subprocess.run([sys.executable, "-c", code], env=service.env, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    notify, zombies = (
        (ROOT / "conf" / f"{name}.yaml").read_text().partition("automations:\n")
        for name in ("notify", "zombies")
    )
    # In one file: each takes the command five seconds of a core.
    text = "".join(notify).replace("BLOCK_ID", made.stdout.strip()) + zombies[2]
    (folder / "automations.yaml").write_text(text)
    service("automation", "create", "--from-file", str(folder / "automations.yaml"))
    automations = {each["name"]: each["enabled"] for each in service.ask("/automations/filter", {})}
    assert automations == dict.fromkeys(("restora-quarantine", "restora-not-whole", "restora-zombies"), True)
    try:
        yield notes
    finally:
        receiver.shutdown()
        thread.join()
        receiver.server_close()


def test_flows_called_one_after_the_other_complete_or_fail_at_once_and_keep_no_secret(service, tmp_path):
    """Parameters are stored before anything of ours runs, and Prefect shows those that do not fit."""
    put_photographs(tmp_path / "images", 1)
    signed = f"https://127.0.0.1:9/w.safetensors?X-Amz-Signature={SECRET}"
    wrong = [
        {"restorers": ["medain"]},
        {"restorers": [{"name": "w", "weights": signed}]},
        {"restorers": [{"name": "w", "wieghts": signed}]},
        {"output": f"s3://KEY:ab/{SECRET}@bucket/out"},
    ]
    code = (
        "import json, sys; from flows.benchmark import benchmark; local = {'engine': 'local'}; "
        "states = [benchmark(job=job, options=local, return_state=True) for job in json.load(sys.stdin)]; "
        "[print(state.name, state.message) for state in states]"
    )
    right = job_fields(tmp_path / "images", tmp_path / "out")
    jobs = json.dumps([*(right | each for each in wrong), right, right])
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code], env=service.env, cwd=ROOT, input=jobs, capture_output=True, text=True
    )
    # Three retries would take six minutes.
    assert time.monotonic() - started < 300
    assert done.returncode == 0, done.stderr
    assert "job.restorers[0].weights: a secret in an address has no place" in done.stdout
    assert "job.output: a secret in an address has no place" in done.stdout
    assert [line for line in done.stdout.splitlines() if line.startswith("Completed")] == 2 * [
        "Completed 1 image, 0 quarantined"
    ]
    again, _, *runs, unknown = service.runs()[:6]
    wait_for_words(service, again, "nothing to do: 1 of 1 images are done")
    wait_for_words(service, unknown, 'did you mean "median"?')
    assert all("***" in json.dumps(each["parameters"]) for each in runs)
    states = service.ask("/flow_run_states/?flow_run_id=" + runs[0]["id"])
    logs = [service.logs(each["id"]) for each in runs]
    assert SECRET not in done.stdout + done.stderr + repr((runs, states, logs))


def test_deployments_are_as_scheduled(service):
    found = {each["entrypoint"]: each for each in service.ask("/deployments/filter", {})}
    assert len(found) == 5
    trained = found["flows/train.py:train"]["parameter_openapi_schema"]
    assert {"recipe", "output", "options", "registry", "against"} <= trained["properties"].keys()
    assert trained["required"] == ["recipe", "output"]
    archive = found["flows/restore.py:restore"]
    assert archive["schedules"][0]["schedule"]["cron"] == "0 2 * * *"
    assert archive["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
    assert archive["global_concurrency_limit"]["limit"] == 1
    assert archive["parameter_openapi_schema"]["properties"].keys() == {"job", "options"}


@pytest.mark.long  # two minutes, most of which it waits
def test_cancelling_stops_ray(service, tmp_path):
    import psutil

    def raylets():
        return {each for each in psutil.Process().children(recursive=True) if "raylet" in each.name()}

    before = raylets()  # of clusters of other tests
    put_photographs(tmp_path / "images", 200, size=96)
    restorers = [{"name": "slow", "solver": "total_variation", "weight": 0.05}, "non-local-means"]
    job = job_fields(tmp_path / "images", tmp_path / "out", restorers=restorers)
    service(
        *("deployment", "run", "benchmark/bulk", "-p", f"job={json.dumps(job)}"),
        *("-p", 'options={"engine": "ray", "workers": 2}'),
    )
    _wait(lambda: list((tmp_path / "out" / "ledger").rglob("*.parquet")), 540)
    ray_processes = raylets() - before
    assert ray_processes, "Ray is not running below the worker"
    flow_run = service.runs()[0]
    service("flow-run", "cancel", flow_run["id"])
    _wait(lambda: service.ask(f"/flow_runs/{flow_run['id']}")["state_type"] == "CANCELLED", 270)
    _wait(
        lambda: not any(map(lives, ray_processes)),
        270,
        lambda: [*map(str, ray_processes), *service.logs(flow_run["id"])],
    )
    committed = len(list((tmp_path / "out" / "ledger").rglob("*.parquet")))
    time.sleep(3)
    assert len(list((tmp_path / "out" / "ledger").rglob("*.parquet"))) == committed


def _wait(condition, seconds, told=list):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, ("waited in vain", told())
        time.sleep(0.5)
