"""What deploy/ and the Dockerfile say, against published schemas and against what is in this project."""

import json
import os
import re
import shutil
import stat
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

kubernetes_validate = pytest.importorskip("kubernetes_validate", reason="the extra test is not installed")

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
KUBERNETES = "1.37"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PINS = dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.M))

# Fields of KubeRay's types (ray.io/v1: raycluster_types.go, rayjob_types.go), those that must be there first.
CLUSTER = (
    {"headGroupSpec"},
    {"workerGroupSpecs", "rayVersion", "enableInTreeAutoscaling", "autoscalerOptions", "suspend"},
)
HEAD = ({"rayStartParams", "template"}, {"serviceType", "headService", "enableIngress"})
WORKERS = (
    {"groupName", "minReplicas", "maxReplicas", "rayStartParams", "template"},
    {"replicas", "numOfHosts", "scaleStrategy"},
)
RAY_JOB = (
    {"entrypoint", "rayClusterSpec"},
    {"activeDeadlineSeconds", "backoffLimit", "submitterPodTemplate", "metadata", "clusterSelector"}
    | {"suspend", "submitterConfig", "managedBy", "deletionStrategy", "runtimeEnvYAML", "jobId"}
    | {"submissionMode", "entrypointResources", "entrypointNumCpus", "entrypointNumGpus"}
    | {"ttlSecondsAfterFinished", "shutdownAfterJobFinishes"},
)  # fmt: skip


def documents() -> list[Any]:
    """Every Kubernetes object that is shipped."""
    found = []
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml")):
        for each in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            found.append(pytest.param(each, id=f"{path.name}: {each['kind']}"))
    return found


def check_fields(fields: dict[str, Any], known: tuple[set[str], set[str]]) -> None:
    needed, others = known
    assert needed <= fields.keys() <= needed | others, fields.keys() ^ needed


def check_pod(template: dict[str, Any]) -> dict[str, Any]:
    """The pod of a template, held against Kubernetes' own schema; nobody is root in it."""
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, "spec": template["spec"]}
    kubernetes_validate.validate(pod, KUBERNETES, strict=True)
    assert template["spec"]["securityContext"]["runAsNonRoot"] is True
    for container in template["spec"]["containers"]:
        assert container["resources"]["limits"].keys() >= {"cpu", "memory"}
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
    return template["spec"]


def check_cluster(spec: dict[str, Any]) -> None:
    """KubeRay's fields, the Ray of constraints.txt, and the token on every node."""
    check_fields(spec, CLUSTER)
    check_fields(spec["headGroupSpec"], HEAD)
    assert spec["rayVersion"] == PINS["ray"]
    for group in spec["workerGroupSpecs"]:
        check_fields(group, WORKERS)
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    groups = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
    for group in groups:
        assert all(isinstance(each, str) for each in group["rayStartParams"].values())
        (container,) = check_pod(group["template"])["containers"]
        assert {"RAY_AUTH_MODE", "RAY_AUTH_TOKEN"} <= {each["name"] for each in container["env"]}


@pytest.mark.parametrize("document", documents())
def test_kubernetes_objects_are_as_their_schemas_say(document):
    if document["apiVersion"] != "ray.io/v1":
        kubernetes_validate.validate(document, KUBERNETES, strict=True)
        if document["kind"] == "Deployment":
            check_pod(document["spec"]["template"])
        return
    assert document["kind"] in ("RayCluster", "RayJob")
    spec = document["spec"]
    if document["kind"] == "RayJob":
        check_fields(spec, RAY_JOB)
        check_pod(spec["submitterPodTemplate"])
        spec = spec["rayClusterSpec"]
    check_cluster(spec)


def test_the_job_of_the_ray_job_is_a_job():
    from pipeline.jobs.job import Job

    config, ray_job = yaml.safe_load_all((DEPLOY / "kubernetes" / "rayjob.yaml").read_text(encoding="utf-8"))
    fields = tomllib.loads(config["data"]["job.toml"])
    assert Job.parse(fields).kind == "restore"
    command = ray_job["spec"]["entrypoint"].split()
    assert command[:3] == ["restora", "benchmark", "/jobs/job.toml"]
    head = ray_job["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]
    assert head["volumes"][0]["configMap"]["name"] == config["metadata"]["name"]
    assert head["containers"][0]["volumeMounts"][0]["mountPath"] == "/jobs"


def test_the_work_pool_makes_jobs_that_kubernetes_takes():
    from prefect.client.schemas.actions import WorkPoolCreate

    text = (DEPLOY / "kubernetes" / "work-pool.json").read_text(encoding="utf-8")
    template = json.loads(text)
    WorkPoolCreate(name="restora-k8s", type="kubernetes", base_job_template=template)
    variables = template["variables"]["properties"]
    assert set(re.findall(r"\{\{ (\w+) \}\}", text)) == variables.keys()
    values = {name: each.get("default") for name, each in variables.items()}
    values |= {
        "name": "run",
        "command": ["prefect"],
        "labels": {"a": "b"},
        "env": [{"name": "A", "value": "b"}],
    }

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: filled(each) for name, each in value.items()}
        if isinstance(value, list):
            return [filled(each) for each in value]
        name = re.fullmatch(r"\{\{ (\w+) \}\}", value) if isinstance(value, str) else None
        return values[name[1]] if name else value

    manifest = filled(template["job_configuration"]["job_manifest"])
    manifest["metadata"]["generateName"] = "run-"
    kubernetes_validate.validate(manifest, KUBERNETES, strict=True)
    check_pod(manifest["spec"]["template"])


def test_the_worker_is_of_our_prefect_and_of_this_pool():
    text = (DEPLOY / "kubernetes" / "prefect-worker.yaml").read_text(encoding="utf-8")
    assert f"prefecthq/prefect:{PINS['prefect']}-" in text
    assert "--pool, restora-k8s" in text


def test_compose_has_every_service_and_no_password_of_its_own():
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    services = yaml.safe_load(text)["services"]
    assert services.keys() == {"postgres", "prefect", "store", "ray", "worker"}
    for service in services.values():
        assert service.keys() <= {
            *("image", "build", "restart", "environment", "command", "volumes", "healthcheck", "depends_on"),
            *("ports", "configs", "shm_size"),
        }
        assert service["image"]
        assert set(service.get("depends_on", {})) <= services.keys()
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), "nothing but this machine sees it"
    addresses = re.findall(r"(?:http://|@)([a-z]+)[:/]|RAY_ADDRESS: (\w+):", text)
    assert {one or other for one, other in addresses} <= services.keys() | {"x"}
    for service in services.values():
        for name, value in service.get("environment", {}).items():
            assert value.startswith("${") or not re.search("PASSWORD|TOKEN|SECRET", name), name


def test_the_image_is_made_of_what_is_here_and_is_nobody_s_root():
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    for sources in re.findall(r"^COPY (?!--from)(?:--\S+ )?(.+) \S+$", text, re.M):
        assert all((ROOT / each).exists() for each in sources.split()), sources
    assert set(re.search(r"ARG EXTRAS=(\S+)", text)[1].split(",")) <= PROJECT["optional-dependencies"].keys()
    last = text[text.rindex("FROM ") :]
    assert re.search(r"^USER restora$", last, re.M)
    assert last.index("USER ") > last.index("apt-get")
    assert "--constraint constraints.txt" in text
    assert re.search(r"ARG DEVICE=cpu", text)
    packages = {each for each in ("models", "pipeline", "flows", "restora") if f"COPY {each} {each}" in text}
    assert packages == {"models", "pipeline", "flows", "restora"}
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert not packages & set(ignored)


SLURM = {
    "scontrol": "#!/bin/bash\necho one; echo two\n",
    # Starts what it is given, and says on which nodes.
    "srun": '#!/bin/bash\necho "srun $*" >> "$NOTES"\nwhile [[ $1 == --* ]]; do shift; done\nexec "$@"\n',
    "ray": '#!/bin/bash\necho "ray $* $RAY_AUTH_MODE $(stat -c %a "$RAY_AUTH_TOKEN_PATH")" >> "$NOTES"\n',
    "restora": '#!/bin/bash\nsleep 1\necho "restora $*" >> "$NOTES"\nexit 3\n',
}


def test_the_slurm_script_starts_the_head_then_the_others_and_gives_the_runs_exit_code(tmp_path):
    for name, script in SLURM.items():
        (tmp_path / name).write_text(script)
        (tmp_path / name).chmod(stat.S_IRWXU)
    notes = tmp_path / "notes"
    environment = {
        **os.environ,
        **{"PATH": f"{tmp_path}:{os.environ['PATH']}", "NOTES": str(notes), "HOME": str(tmp_path)},
        **{"SLURM_JOB_NODELIST": "[one-two]", "SLURM_JOB_NUM_NODES": "2", "SLURM_JOB_ID": "7"},
    }
    script = [shutil.which("bash"), str(DEPLOY / "slurm.sh"), "job.toml"]
    done = subprocess.run(script, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 3, done.stderr
    text = notes.read_text()
    assert "srun --nodes=1 --ntasks=1 --nodelist=one ray start --head --port=6379 --block" in text
    assert "srun --nodes=1 --ntasks=1 --exclude=one ray start --address=one:6379 --block" in text
    assert "restora benchmark job.toml --engine ray --ray-address one:6379" in text
    assert all(line.endswith(" token 600") for line in text.splitlines() if line.startswith("ray start"))
    assert not (tmp_path / ".restora-ray-7").exists(), "the token goes with the run"
