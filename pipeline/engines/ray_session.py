"""The connection to Ray: one a process, begun early so that it comes up while the run is planned."""

from __future__ import annotations

import logging
import os
import socket
import threading

import ray

from pipeline.engines.own_code import joined_environment, local_environment
from pipeline.engines.ray_tokens import agree_on_tokens, mode_kept
from pipeline.engines.ray_watch import RayWatch
from pipeline.engines.signals_kept import signals_kept
from pipeline.engines.stderr_filter import without_lines
from pipeline.errors import JobError, describe
from pipeline.storage.scratch import scratch

LOCAL_CPUS = 4
"""Fewest logical CPUs of a Ray started here: Ray Data can wait for ever for a slot on one or two."""
_PATIENCE = 10.0
"""Seconds for a cluster's head to take a connection: where nobody listens, Ray itself tries for ever."""
_SLOW = "timed out during startup"
"""Of what Ray says where its node was not up in half a minute, as where other work has the machine."""
_LAST_WAIT = 30.0
"""Seconds that an end waits for a connection that is still coming up."""


class RaySession:
    """Starts or joins Ray; ``stop`` ends what ``start`` began, and leaves a cluster that was joined running.

    Ray comes up on a thread of its own, which then stays until the end: the processes that Ray starts
    are killed by the kernel when the *thread* that started them ends.
    """

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._connected = threading.Event()
        self._over = threading.Event()
        self._fault: Exception | None = None
        self.watch: RayWatch | None = None
        """Over the processes of Ray, once the connection stands."""
        self.is_local = True
        """Whether Ray starts on this machine for the run, as opposed to a cluster that is joined."""

    def start(self, address: str | None) -> None:
        """Begins to connect to ``address``, else ``RAY_ADDRESS``, else to start Ray here; returns at once."""
        address = address or os.environ.get("RAY_ADDRESS")
        if self._thread is None and not ray.is_initialized():
            self.is_local = address is None
            self._connected.clear()
            self._over.clear()
            self._thread = threading.Thread(target=self._run, args=(address,), name="ray", daemon=True)
            self._thread.start()

    def wait(self) -> None:
        """Until the connection stands. ``JobError`` where there is none."""
        if self._thread is not None:
            self._connected.wait()
        if self._fault is not None:
            fault = self._fault
            self.stop()
            raise fault

    def stop(self) -> None:
        """Ends a Ray that was started here; leaves one that was joined, which goes on without us."""
        if self._thread is None:
            return
        if not self._connected.wait(_LAST_WAIT):
            return  # the thread ends with the process
        if self.watch is not None and self.watch.dead():
            self.watch.clear()
        elif self._fault is None and ray.is_initialized():
            ray.shutdown()  # of a joined cluster, no more than the connection
        self._over.set()
        self._thread.join()
        self._thread, self._fault, self.watch = None, None, None

    def _run(self, address: str | None) -> None:
        with mode_kept():
            try:
                with signals_kept():
                    _connect(address)
                self.watch = RayWatch()
            except Exception as error:
                self._fault = _explained(error, address)
            finally:
                self._connected.set()
            self._over.wait()


def _explained(error: Exception, address: str | None) -> JobError:
    if address is None:
        cure = (
            "; other work has the machine: run it again, or with --engine local"
            if _SLOW in str(error)
            else ""
        )
        return JobError(f"cannot start Ray on this machine: {describe(error)}{cure}")
    given = "RAY_ADDRESS" if os.environ.get("RAY_ADDRESS") == address else "--ray-address"
    if isinstance(error, JobError):
        return JobError(f"{given} {address}: {error}")
    return JobError(
        f"{given} {address}: cannot connect: {describe(error)}; give HOST:PORT of a running head "
        "(ray start --head --port=6379), or no address, and Ray starts on this machine"
    )


def _connect(address: str | None) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    # Else every run prints a line of Ray's own about the arguments that Ray Data hands its actors.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    with (
        # What Ray prints of a log level that we set, of a token that we ask for, and of our thread.
        without_lines(b"logging.cc", b"gcs_client.cc", b"SIGTERM handler is not set"),
        scratch("empty") as empty,
    ):
        if address is None:
            _start(str(empty))
        else:
            _join(address, str(empty))


def _start(empty: str) -> None:
    # Four idle processes coming up beside the workers' own imports cost a second on two cores.
    os.environ.setdefault("RAY_prestart_worker_first_driver", "0")
    try:
        _start_node(empty)
    except Exception as error:
        if _SLOW not in str(error):
            raise
        _start_node(empty)  # what the first try started ends with this thread


def _start_node(empty: str) -> None:
    ray.init(
        "local",  # a cluster that runs here already, or that left its address here, is none of this run's
        num_cpus=max(LOCAL_CPUS, os.cpu_count() or 1),
        include_dashboard=False,
        logging_level=logging.ERROR,
        log_to_driver=False,
        runtime_env=local_environment(empty),
    )


def _join(address: str, empty: str) -> None:
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if host and port.isdigit():  # forms without a port, such as ``auto``, are Ray's own affair
        _require_listener(host, int(port))
        if "://" not in address:
            agree_on_tokens(address)
    ray.init(address, runtime_env=joined_environment(empty), logging_level=logging.WARNING)


def _require_listener(host: str, port: int) -> None:
    """``OSError`` where no process takes a connection."""
    socket.create_connection((host.strip("[]"), port), timeout=_PATIENCE).close()


SESSION = RaySession()
"""The one of this process: Ray itself has no second."""
