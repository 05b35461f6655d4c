"""The processes around a run: a Prefect server on loopback, pools, deployments and workers.

Everything a process is started with goes through environment variables that are set before Prefect is imported, so
this module imports it only inside functions.
"""

import contextlib
import ctypes
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_contracts.errors import InputError
from tasks.storage.home import Home

ROOT = Path(__file__).resolve().parents[1]
SERVER_START_SECONDS = 90
STOP_SECONDS = 20
SENDING_SECONDS = 15
CPU_RUNS = 4
# What the main job imports, by how long that takes; done while a server starts, which needs as long.
SLOW_IMPORTS = ("torch", "great_expectations", "transformers", "mlflow", "sklearn.linear_model", "evaluate")
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Service:
    """A process that `graft up` started."""

    name: str
    pid: int
    url: str = ""


def configure_environment(home: Home, api_url: str | None, *, debug: bool = False) -> None:
    """Sets what Prefect and the libraries read from the environment; what the user set stays as it is."""
    settings = {
        "PREFECT_HOME": str(home.root / "prefect"),
        "PREFECT_RESULTS_LOCAL_STORAGE_PATH": str(home.results),
        "PREFECT_API_DATABASE_CONNECTION_URL": home.prefect_database,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_CLI_PROMPT": "false",
        "PREFECT_LOGGING_EXTRA_LOGGERS": "graft,tasks",
        # The terminal shows graft's own lines; everything else is in the run's log at the server.
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "NOTSET" if debug else "CRITICAL",
        "TOKENIZERS_PARALLELISM": "true",
        # How long OpenMP's threads spin while they wait. Measured on two cores, in tokens trained a second: never
        # 1,300, this 1,800, libgomp's default 1,700; beside a process that keeps one core busy 1,050, 770, below 200.
        "GOMP_SPINCOUNT": "5000",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "1",
        "GX_ANALYTICS_ENABLED": "false",
    }
    for name, value in settings.items():
        os.environ.setdefault(name, value)
    if api_url is not None:
        os.environ["PREFECT_API_URL"] = api_url
    (home.root / "prefect").mkdir(parents=True, exist_ok=True)


def running_server(home: Home) -> str | None:
    """API address of the server to use: PREFECT_API_URL, or the one `graft up` started; None where none answers."""
    given = os.environ.get("PREFECT_API_URL")
    if given is not None:
        if not _answers(given):
            raise InputError(f"PREFECT_API_URL is {given}, but no Prefect server answers there. Start it, or unset it.")
        return given
    service = read_services(home).get("server")
    return service.url if service and _answers(service.url) else None


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
    if not any((home.root / "prefect").glob("*.db")):
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


def up(home: Home, port: int, say: Callable[[str], None]) -> str:
    """Server, pools, limits, deployments and workers; what is there already is left as it is. Gives the API address."""
    url = running_server(home)
    services = read_services(home)
    if url is None:
        url = f"http://127.0.0.1:{port}/api"
        if _is_taken(port):
            raise InputError(f"port {port} is taken by another program. Stop it, or use `graft up --port N`.")
        configure_environment(home, url)
        say(f"server: starting on port {port} ...")
        process = start_server(home, port, detached=True)
        services["server"] = Service("server", process.pid, url)
        write_services(home, services)
        wait_for_server(url, process, home)
        say(f"server: started at {pages_of(url)}")
    else:
        configure_environment(home, url)
        say(f"server: found at {pages_of(url)}")
    gpus = gpu_count()
    ensure_pools({"cpu": CPU_RUNS, "gpu": max(1, gpus)})
    say(f"pools: cpu ({CPU_RUNS} runs at once), gpu ({max(1, gpus)})")
    say("deployments: deploying prefect.yaml ...")
    say(f"deployments: {', '.join(deploy())}")
    wanted: dict[str, tuple[str, int, str | None]] = {"worker-cpu": ("cpu", CPU_RUNS, None)}
    for number in range(max(1, gpus)):
        wanted[f"worker-gpu-{number}"] = ("gpu", 1, str(number) if gpus else "")
    for name, (pool, limit, device) in wanted.items():
        if name in services and is_alive(services[name].pid):
            say(f"{name}: found")
            continue
        services[name] = Service(name, start_worker(home, name, pool, limit, device).pid)
        write_services(home, services)
        say(f"{name}: started")
    return url


def down(home: Home, say: Callable[[str], None]) -> None:
    """Stops what `graft up` started, workers first, so that no run loses its server."""
    services = read_services(home)
    for name in sorted(services, key=lambda name: name == "server"):
        if is_alive(services[name].pid):
            stop_process(services[name].pid)
            say(f"{name}: stopped")
        else:
            say(f"{name}: was not running")
    write_services(home, {})


def read_services(home: Home) -> dict[str, Service]:
    """The processes that `graft up` noted, alive or not."""
    path = home.services / "services.json"
    if not path.is_file():
        return {}
    return {name: Service(**facts) for name, facts in json.loads(path.read_text(encoding="utf-8")).items()}


def write_services(home: Home, services: dict[str, Service]) -> None:
    """Replaces the note of running processes."""
    home.services.mkdir(parents=True, exist_ok=True)
    draft = home.services / "services.draft"
    draft.write_text(json.dumps({name: vars(service) for name, service in services.items()}), encoding="utf-8")
    os.replace(draft, home.services / "services.json")


def start_server(home: Home, port: int, *, detached: bool) -> "subprocess.Popen[bytes]":
    """A Prefect server on loopback; its log is services/server.log."""
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    return _spawn(command, home, "server", detached=detached)


def wait_for_server(url: str, process: "subprocess.Popen[bytes]", home: Home, modules: tuple[str, ...] = ()) -> None:
    """Returns once the server answers, having imported as many of `modules` as the wait had time for.

    Raises RuntimeError where the server ends or does not answer in time.
    """
    deadline = time.monotonic() + SERVER_START_SECONDS
    meanwhile = iter(modules)
    while not _answers(url):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the Prefect server did not come up; its log is {home.services / 'server.log'}")
        module = next(meanwhile, None)
        if module is None:
            time.sleep(0.2)
        else:
            _import(module)


def start_worker(home: Home, name: str, pool: str, limit: int, device: str | None) -> "subprocess.Popen[bytes]":
    """A worker of a pool. Prefect hands out no GPUs: each gpu worker sees the one device it is started with."""
    command = [
        sys.executable,
        "-m",
        "prefect",
        "worker",
        "start",
        "--pool",
        pool,
        "--name",
        name,
        "--limit",
        str(limit),
    ]
    extra = {} if device is None else {"CUDA_VISIBLE_DEVICES": device}
    return _spawn(command, home, name, detached=True, extra=extra)


def ensure_pools(limits: dict[str, int]) -> None:
    """Process pools of these names with these numbers of runs at once."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
    from prefect.exceptions import ObjectNotFound

    with get_client(sync_client=True) as client:
        for name, limit in limits.items():
            try:
                client.read_work_pool(name)
                client.update_work_pool(name, WorkPoolUpdate(concurrency_limit=limit))
            except ObjectNotFound:
                client.create_work_pool(WorkPoolCreate(name=name, type="process", concurrency_limit=limit))


def deploy() -> list[str]:
    """Deploys everything in prefect.yaml; returns the deployments' names."""
    import yaml

    path = ROOT / "prefect.yaml"
    if not path.is_file():
        raise InputError(
            f"{path} does not exist: `graft up` needs a checkout of the repository, not an installed wheel."
        )
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"prefect deploy failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return [entry["name"] for entry in yaml.safe_load(path.read_text(encoding="utf-8"))["deployments"]]


def pages_of(api_url: str) -> str:
    """Address of the pages that belong to an API address."""
    return api_url.removesuffix("/api")


def gpu_count() -> int:
    """CUDA devices of this machine, without importing torch."""
    try:
        found = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return sum(line.startswith("GPU ") for line in found.stdout.splitlines())


def free_port() -> int:
    """A loopback port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_alive(pid: int) -> bool:
    """Whether a process of that number runs and is no zombie."""
    try:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def stop_process(pid: int, process: "subprocess.Popen[bytes] | None" = None) -> None:
    """Asks the process group to end, and ends it where it does not within 20 seconds."""
    for ask in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, ask)
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None if process else not is_alive(pid):
                return
            time.sleep(0.1)


def _import(module: str) -> None:
    # One that fails is imported again where it is used, and says there what is wrong.
    with contextlib.suppress(ImportError):
        importlib.import_module(module)


def _spawn(
    command: list[str], home: Home, name: str, *, detached: bool, extra: dict[str, str] | None = None
) -> "subprocess.Popen[bytes]":
    home.services.mkdir(parents=True, exist_ok=True)
    environment: dict[str, Any] = {**os.environ, **(extra or {})}
    if detached:
        # What a service writes goes to its log file, so it may write everything.
        environment["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "NOTSET"
    with (home.services / f"{name}.log").open("ab") as log:
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=None if detached else _end_with_parent,
        )


def _end_with_parent() -> None:
    """In the child: be asked to end when the parent is gone, even where it was killed (Linux, prctl(2))."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError, ValueError):
        return False


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
