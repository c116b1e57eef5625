"""Stops commands by Ctrl-C and SIGTERM at moments spread over each: ``python -m benchmarks.interrupts``.

    python -m benchmarks.interrupts [--moments 8] [--commands export adapt ...]

Each command runs undisturbed first, then is stopped at so many moments by each signal and run again. Fails
where a stop ends with another code than is promised, with a traceback, with a file that is neither absent nor
whole, with litter in the folder or among temporary files, or with the signature of the weights' address in
anything that was printed or written; and where running it again does not come to its end.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from models.weights import SHIPPED, shipped_path  # noqa: E402 - found by the line above
from tests.helpers import encoded, fill, photograph  # noqa: E402

SECRET = "CANARYSIGNATURE"
SIGNALS = (signal.SIGINT, signal.SIGTERM)
PROMISED = {signal.SIGINT: 130, signal.SIGTERM: 143}
INSTANT = 0.15
"""Seconds in which Python itself starts, where no program has a say."""


@dataclass(frozen=True)
class Command:
    """What is typed in an empty folder beside ``photos``, and what it leaves there."""

    words: str
    leaves: str


COMMANDS = {
    "export": Command("export {weights}", "*.onnx"),
    "compress": Command(
        "compress {srvgg} --data ../photos --images 2 --side 96 --most-loss 9 --least-speedup 0.01",
        "*.onnx",
    ),
    "adapt": Command("adapt {weights} ../photos --steps 30 --out a.safetensors", "a.safetensors"),
    "explain": Command("explain {srvgg} ../photos/0.png p.html", "p.html"),
    "calibrate": Command("calibrate ../benchmark c.calibration.json --restorer ffdnet-colour", "c.*"),
    "score": Command("score ../photos ../photos --output out", "out"),
    "one": Command("restore ../photos/0.png a.tif --restorer {srvgg}", "a.tif"),
    "restore": Command("restore ../photos out --restorer median --engine local", "out"),
}


def main() -> None:
    """Prints a line for each command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--moments", type=int, default=8)
    parser.add_argument("--commands", nargs="+", default=list(COMMANDS), choices=COMMANDS)
    chosen = parser.parse_args()
    faults: list[str] = []
    with tempfile.TemporaryDirectory(prefix="restora-interrupts-") as place, served() as address:
        root = Path(place)
        for name in ("tmp", "photos", "cache"):
            (root / name).mkdir()
        fill(root / "photos", {f"{n}.png": encoded(photograph(n, 200, 240)) for n in range(9)})
        if "calibrate" in chosen.commands:
            benchmark(root)
        for name in chosen.commands:
            found = Stopped(root, name, address).try_all(chosen.moments)
            print(f"{name}: {len(found)} faults", *found, sep="\n  ", flush=True)
            faults += found
    sys.exit(bool(faults))


class Stopped:
    """One command, stopped again and again."""

    def __init__(self, root: Path, name: str, address: str) -> None:
        weights = {key: f"{address}/{SHIPPED[file]}?X-Amz-Signature={SECRET}" for key, file in _FILES.items()}
        self.command = COMMANDS[name]
        self.words = [sys.executable, "-m", "flows.cli", *self.command.words.format(**weights).split()]
        self.root, self.name = root, name

    def try_all(self, moments: int) -> list[str]:
        """The faults."""
        started = time.monotonic()
        code, printed = self.run(self.root / f"{self.name}-whole")
        takes = time.monotonic() - started
        if code != 0:
            return [f"does not run: {code}: {printed}"]
        faults = []
        for number in range(moments):
            for sent in SIGNALS:
                at = INSTANT + (takes - INSTANT) * (number + (sent == signal.SIGTERM) / 2) / moments
                folder = self.root / f"{self.name}-{number}-{sent.name}"
                faults += [
                    f"{sent.name} at {at:.2f} of {takes:.2f} s: {each}"
                    for each in self.try_at(folder, sent, at)
                ]
        return faults

    def try_at(self, folder: Path, sent: signal.Signals, at: float) -> list[str]:
        code, printed = self.run(folder, sent, at)
        faults = []
        if code not in (0, PROMISED[sent]):
            faults.append(f"ended by {code}")
        if "Traceback" in printed or (code != 0 and "stopped" not in printed) or "ignored" in printed:
            faults.append(f"printed {printed!r}")
        left = sorted(str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file())
        own = [each for each in left if ".part" in each or not Path(each).match(self.command.leaves)]
        if self.command.leaves == "out":
            own = [each for each in left if ".part" in each or not each.startswith("out/")]
        if own:
            faults.append(f"left {own}")
        if temporary := [
            each.name for each in (self.root / "tmp").iterdir() if each.name.startswith("restora")
        ]:
            faults.append(f"left in TMPDIR {temporary}")
        if SECRET in printed or any(SECRET.encode() in (folder / each).read_bytes() for each in left):
            faults.append("a secret")
        again, said = self.run(folder)
        if again != 0 and not (code == 0 and self.name == "one"):
            faults.append(f"again: {again}: {said}")
        if whole := self.differs(folder):
            faults.append(whole)
        return faults

    def differs(self, folder: Path) -> str | None:
        """Whether what is there after running it again is not what an undisturbed run leaves."""
        names = [
            {str(each.relative_to(at)) for each in at.glob(self.command.leaves) if each.is_file()}
            for at in (folder, self.root / f"{self.name}-whole")
        ]
        return None if names[0] == names[1] else f"other files {names}"

    def run(self, folder: Path, sent: signal.Signals | None = None, at: float = 0.0) -> tuple[int, str]:
        """Exit code and all that was printed."""
        folder.mkdir(exist_ok=True)
        environment = os.environ | {
            "PYTHONPATH": str(ROOT),
            "TMPDIR": str(self.root / "tmp"),
            "NO_COLOR": "1",
        }
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # without it torch is compiled anew each time
        process = subprocess.Popen(
            self.words,
            cwd=folder,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            printed, _ = process.communicate(timeout=at if sent else None)
        except subprocess.TimeoutExpired:
            process.send_signal(sent)
            printed, _ = process.communicate()
        return process.returncode, printed


_FILES = {"weights": "ffdnet-colour", "srvgg": "srvgg-x2"}


def benchmark(root: Path) -> None:
    """What ``calibrate`` reads."""
    job = root / "job.toml"
    job.write_text(
        f'name = "b"\noutput = "{root}/benchmark"\nrestorers = ["ffdnet-colour"]\nmetrics = ["psnr"]\n'
        f'degradations = ["awgn-25"]\npsnr_estimate = true\n[[datasets]]\nname = "p"\nuri = "{root}/photos"\n'
    )
    command = [sys.executable, "-m", "flows.cli", "benchmark", str(job), "--engine", "local"]
    subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True, capture_output=True)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served() -> Iterator[str]:
    """The address of the shipped weights, on loopback."""
    folder = str(shipped_path("srvgg-x2").parent)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


if __name__ == "__main__":
    main()
