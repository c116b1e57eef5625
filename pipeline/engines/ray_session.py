"""The connection to Ray: one a process, begun early so that it comes up while the run is planned."""

from __future__ import annotations

import logging
import os
import socket
import threading

import ray

from pipeline.errors import JobError, describe

LOCAL_CPUS = 4
"""Fewest logical CPUs of a Ray started here: Ray Data can wait for ever for a slot on one or two."""
_PATIENCE = 10.0
"""Seconds for a cluster's head to take a connection: where nobody listens, Ray itself tries for ever."""
_LAST_WAIT = 30.0
"""Seconds that an end waits for a connection that is still coming up."""


class RaySession:
    """Starts or joins Ray; ``stop`` ends only what ``start`` started.

    Ray comes up on a thread of its own, which then stays until the end: the processes that Ray starts
    are killed by the kernel when the *thread* that started them ends.
    """

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._connected = threading.Event()
        self._over = threading.Event()
        self._fault: Exception | None = None
        self._started_here = False

    def start(self, address: str | None) -> None:
        """Begins to connect, and returns at once."""
        if self._thread is None and not ray.is_initialized():
            self._connected.clear()
            self._over.clear()
            self._thread = threading.Thread(target=self._run, args=(address,), name="ray", daemon=True)
            self._thread.start()

    def wait(self) -> None:
        """Until the connection stands. ``JobError`` where there is none to be had."""
        if self._thread is not None:
            self._connected.wait()
        if self._fault is not None:
            fault = self._fault
            self.stop()
            raise fault

    def stop(self) -> None:
        """Ends a Ray that was started here; leaves a cluster that was there before alone."""
        if self._thread is None:
            return
        if not self._connected.wait(_LAST_WAIT):
            return  # the thread ends with the process
        if self._started_here and ray.is_initialized():
            ray.shutdown()
        self._over.set()
        self._thread.join()
        self._thread, self._fault, self._started_here = None, None, False

    def _run(self, address: str | None) -> None:
        try:
            _connect(address)
            self._started_here = address is None
        except Exception as error:
            self._fault = JobError(
                f"--ray-address {address}: cannot connect: {describe(error)}; give HOST:PORT of a running "
                "head (ray start --head --port=6379), or leave it out to start Ray here"
                if address
                else f"cannot start Ray here: {describe(error)}"
            )
        finally:
            self._connected.set()
        self._over.wait()


def _connect(address: str | None) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if address is None:
        # Else every run prints a line of Ray's own about the arguments that Ray Data hands its actors.
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
        # Four idle processes coming up beside the workers' own imports cost a second on two cores.
        os.environ.setdefault("RAY_prestart_worker_first_driver", "0")
        ray.init(
            num_cpus=max(LOCAL_CPUS, os.cpu_count() or 1),
            include_dashboard=False,
            logging_level=logging.ERROR,
            log_to_driver=False,
        )
        return
    _require_listener(address)
    # The nodes run this very code, whatever is installed on them. Here, for the start-up of the driver.
    import models
    import pipeline

    ray.init(address, runtime_env={"py_modules": [models, pipeline]}, logging_level=logging.WARNING)


def _require_listener(address: str) -> None:
    """``OSError`` where nobody takes a connection; forms without a port, such as ``auto``, are Ray's own."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE).close()


SESSION = RaySession()
"""The one of this process: Ray itself has no second."""
