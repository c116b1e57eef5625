"""What the page says under Reproduce runs as pasted: a shell writes the job, and it is the run's job."""

import subprocess
import tomllib

from pipeline.jobs.job import Job
from pipeline.report.reproduce import commands, toml

JOB = Job.parse(
    {
        "name": "night",
        "output": "out/my 'scans' $HOME",
        "datasets": [{"name": "a", "uri": 'in/"ö"\\x', "radiometry": {"low": 0, "high": 1e-7}}],
        "degradations": [
            "awgn-25",
            {"name": "b", "operators": [{"op": "gaussian_blur", "sigma": [0.8, 1.6]}]},
        ],
        "restorers": ["median", {"name": "tv", "solver": "total_variation", "weight": 0.08}],
        "metrics": ["psnr"],
        "resources": {"compile": True},
    }
)


def test_pasted_into_a_shell_it_writes_the_job_and_runs_it(tmp_path):
    shim = 'restora() { printf "%s\\n" "$#" "$@" >> calls; }\n'
    subprocess.run(["sh", "-c", shim + "\n".join(commands(JOB, True))], cwd=tmp_path, check=True)
    assert Job.from_toml(tmp_path / "job.toml") == JOB
    assert (tmp_path / "calls").read_text().splitlines() == [
        *("2", "benchmark", "job.toml"),
        *("2", "verify", JOB.output),
        *("2", "retry", JOB.output),
    ]


def test_no_retry_where_nothing_is_quarantined():
    assert not any("retry" in line for line in commands(JOB, False))


def test_toml_holds_what_it_was_given():
    fields = {"a b": "x\x7f\n\t\"'", "none": None, "n": [1, 2.5, True, {"k": "ä", "e": {}}], "big": 1e300}
    assert tomllib.loads(toml(fields)) == {name: each for name, each in fields.items() if each is not None}
    assert Job.parse(tomllib.loads(toml(JOB.model_dump(mode="json")))) == JOB
