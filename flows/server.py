"""The Prefect server of a run: the one that is up, or one on loopback for as long as the run needs it.

Everything a process is started with goes through environment variables that are set before Prefect is imported, so
this module imports it only inside functions.
"""

import contextlib
import importlib
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from data_contracts.errors import InputError
from flows import OWN_LOGGERS
from flows.processes import read_services, spawn, stop_process
from tasks.storage.home import Home, readable_write_errors

SERVER_START_SECONDS = 90
SENDING_SECONDS = 15
SILENCE = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",
    "GX_ANALYTICS_ENABLED": "false",
}
# What the main job imports and takes long for, in the order it comes to it.
SLOW_IMPORTS = ("great_expectations", "torch", "transformers", "evaluate", "sklearn.linear_model", "mlflow")


def tell_nobody() -> None:
    """Keeps libraries from telling their makers that they are used, which Prefect does when it is imported."""
    for name, value in SILENCE.items():
        os.environ.setdefault(name, value)


def configure_environment(home: Home, api_url: str | None, *, debug: bool = False) -> None:
    """Sets what Prefect and the libraries read from the environment; what the user set stays as it is."""
    tell_nobody()
    settings = {
        "PREFECT_HOME": str(home.root / "prefect"),
        "PREFECT_RESULTS_LOCAL_STORAGE_PATH": str(home.results),
        "PREFECT_API_DATABASE_CONNECTION_URL": home.prefect_database,
        "PREFECT_CLI_PROMPT": "false",
        "PREFECT_LOGGING_EXTRA_LOGGERS": ",".join(OWN_LOGGERS),
        # `graft reproduce` trains, and says so, outside of any flow.
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        # The terminal shows graft's own lines; everything else is in the run's log at the server.
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "NOTSET" if debug else "CRITICAL",
        "TOKENIZERS_PARALLELISM": "true",
        # How long OpenMP's threads spin while they wait. Measured on two cores, in tokens trained a second: never
        # 1,300, this 1,800, libgomp's default 1,700; beside a process that keeps one core busy 1,050, 770, 220.
        "GOMP_SPINCOUNT": "5000",
    }
    for name, value in settings.items():
        os.environ.setdefault(name, value)
    if api_url is not None:
        os.environ["PREFECT_API_URL"] = api_url
    with readable_write_errors(str(home.root)):
        (home.root / "prefect").mkdir(parents=True, exist_ok=True)


def running_server(home: Home) -> str | None:
    """API address of the server to use: PREFECT_API_URL, or the one `graft up` started; None where none answers."""
    # An empty one says nothing, as `VARIABLE=` in a file of settings means.
    given = os.environ.get("PREFECT_API_URL") or None
    if given is not None:
        if not answers(given):
            raise InputError(f"PREFECT_API_URL is {given}, but no Prefect server answers there. Start it, or unset it.")
        return given
    service = read_services(home).get("server")
    return service.url if service and answers(service.url) else None


@dataclass(frozen=True)
class RunServer:
    """The server of one run; `lasting`: it was there before and stays. `wait` wants Prefect imported."""

    url: str
    lasting: bool
    about: str
    wait: Callable[[], None]


@contextlib.contextmanager
def server_for_a_run(home: Home, *, debug: bool = False) -> Iterator[RunServer]:
    """The server that is up, or one on loopback for as long as the block; `wait` returns once it answers.

    What takes long to import is imported while the server starts or, where it is up, beside the first calls to it.
    """
    url = running_server(home)
    if url is not None:
        configure_environment(home, url, debug=debug)
        yield RunServer(url, True, "found", lambda: threading.Thread(target=_import, args=("mlflow",)).start())
        return
    port = free_port()
    url = f"http://127.0.0.1:{port}/api"
    configure_environment(home, url, debug=debug)
    about = "starting one for this run"
    ours = os.environ["PREFECT_API_DATABASE_CONNECTION_URL"] == home.prefect_database
    if ours and not any((home.root / "prefect").glob("*.db")):
        about += " (the first has to lay out its database, which takes some 20 s)"
    process = start_server(home, port, detached=False)
    try:
        yield RunServer(url, False, about, lambda: wait_for_server(url, process, home, SLOW_IMPORTS))
    finally:
        send_what_waits()
        stop_process(process.pid, process)


def send_what_waits() -> None:
    """Logs and events of this process to the server: once that has stopped, each would be tried again at exit."""
    if "prefect" not in sys.modules:
        return
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    for worker in (APILogWorker, EventsWorker):
        worker.drain_all(timeout=SENDING_SECONDS)


def start_server(home: Home, port: int, *, detached: bool) -> "subprocess.Popen[bytes]":
    """A Prefect server on loopback; its log is services/server.log."""
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    return spawn(command, home, "server", detached=detached)


def wait_for_server(url: str, process: "subprocess.Popen[bytes]", home: Home, modules: tuple[str, ...] = ()) -> None:
    """Returns once the server answers, having imported as many of `modules` as the wait had time for.

    Raises RuntimeError where the server ends or does not answer in time.
    """
    deadline = time.monotonic() + SERVER_START_SECONDS
    meanwhile = iter(modules)
    while not answers(url):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the Prefect server did not come up; its log is {home.services / 'server.log'}")
        module = next(meanwhile, None)
        if module is None:
            time.sleep(0.2)
        else:
            _import(module)


def pages_of(api_url: str) -> str:
    """Address of the pages that belong to an API address."""
    return api_url.removesuffix("/api")


def free_port() -> int:
    """A loopback port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(url: str) -> bool:
    """Whether a Prefect server answers at that API address."""
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError, ValueError):
        return False


def _import(module: str) -> None:
    # One that fails is imported again where it is used, and says there what is wrong.
    with contextlib.suppress(ImportError):
        importlib.import_module(module)
