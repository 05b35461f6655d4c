"""What `graft up` starts and `graft down` stops: a server on loopback, pools, deployments and workers."""

import socket
import subprocess
import sys
from collections.abc import Callable, Sequence

from data_contracts.errors import InputError
from flows.dead_runs import close_dead_runs
from flows.deployments import deploy, read_deployments, scheduled, scheduled_already
from flows.processes import (
    Service,
    alone,
    is_running,
    keep_port,
    last_port,
    note_of,
    read_services,
    spawn,
    stop_process,
    write_services,
)
from flows.server import answers, configure_environment, pages_of, running_server, start_server, wait_for_server
from tasks.storage.home import Home

CPU_RUNS = 4
DEFAULT_PIPELINE = "support"
# Why a run is over that has not said so itself.
GONE, STOPPED = "its process is gone", "`graft down` stopped its worker"


def up(home: Home, port: int | None, pipelines: Sequence[str], say: Callable[[str], None]) -> str:
    """Server, pools, deployments and workers; what is there already is left as it is. Gives the API address.

    The pipelines, by name or path, run by themselves from then on, and no others; without any, those that do already.
    A server that has to be started gets the port or, without one, that of last time.
    """
    with alone(home, say):
        return _up(home, port, pipelines, say)


def down(home: Home, say: Callable[[str], None]) -> None:
    """Stops what `graft up` started, workers first, so that no run loses its server."""
    with alone(home, say):
        _down(home, say)


def _up(home: Home, port: int | None, pipelines: Sequence[str], say: Callable[[str], None]) -> str:
    content, chosen = read_deployments(), [scheduled(name) for name in pipelines]
    names = [of.name for of in chosen]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"pipeline(s) {', '.join(twice)} given twice. Name each one once.")
    url = running_server(home)
    services = read_services(home)
    if url is None:
        port = port or last_port(home)
        url = f"http://127.0.0.1:{port}/api"
        if _is_taken(port):
            raise InputError(f"port {port} is taken by another program. Stop it, or use `graft up --port N`.")
        configure_environment(home, url)
        say(f"server: starting on port {port} ...")
        process = start_server(home, port, detached=True)
        services["server"] = note_of("server", process, url)
        write_services(home, services)
        try:
            wait_for_server(url, process, home)
        except RuntimeError:
            stop_process(process.pid, process)
            raise
        keep_port(home, port)
        say(f"server: started at {pages_of(url)}")
        _stop_strays(services, url, say)
        _say_ended(close_dead_runs(GONE), GONE, say)
    else:
        configure_environment(home, url)
        say(f"server: found at {pages_of(url)}")
        _stop_strays(services, url, say)
        if (ours := services.get("server")) is not None and ours.url == url:
            _say_ended(close_dead_runs(GONE, ["RUNNING"]), GONE, say)
    gpus = gpu_count()
    paused = ensure_pools(("cpu", "gpu"))
    say(f"pools: cpu ({CPU_RUNS} runs at once on this machine), gpu ({max(1, gpus)})")
    say(f"deployments: deploying {', '.join(entry['name'] for entry in content['deployments'])} ...")
    chosen = chosen or scheduled_already(content) or [scheduled(DEFAULT_PIPELINE)]
    for of in chosen:
        if of.mistake:
            say(f"pipeline {of.name}: cannot be used, and its runs fail until it can: {of.mistake}")
            say("  `graft up --pipeline NAME` says which pipelines are to run from now on")
    scheduled_now, off = deploy(content, chosen, home.services)
    say(f"schedules: {'; '.join(scheduled_now)}")
    if paused or off:
        say(f"switched off in the pages, and left so: {', '.join([*paused, *off])}")
    wanted: dict[str, tuple[str, int, str | None]] = {"worker-cpu": ("cpu", CPU_RUNS, None)}
    for number in range(max(1, gpus)):
        wanted[f"worker-gpu-{number}"] = ("gpu", 1, str(number) if gpus else "")
    for name, (pool, limit, device) in wanted.items():
        known = services.get(name)
        if known is not None and is_running(known):
            say(f"{name}: found")
            continue
        services[name] = note_of(name, start_worker(home, name, pool, limit, device), url)
        write_services(home, services)
        say(f"{name}: started")
    return url


def _stop_strays(services: dict[str, Service], url: str, say: Callable[[str], None]) -> None:
    """Stops workers of another server, before their runs are looked for: those end with them."""
    for name, known in services.items():
        if name != "server" and is_running(known) and _address(known.url) != _address(url):
            say(f"{name}: stopping the one that asks {pages_of(known.url)} for work ...")
            stop_process(known.pid)


def _down(home: Home, say: Callable[[str], None]) -> None:
    services = read_services(home)
    if not services:
        say("nothing is running that `graft up` started")
    for name in sorted(services, key=lambda name: name == "server"):
        if is_running(services[name]):
            if name == "server" and answers(services[name].url):
                configure_environment(home, services[name].url)
                _say_ended(close_dead_runs(STOPPED), STOPPED, say)
            stop_process(services[name].pid)
            say(f"{name}: stopped")
        else:
            say(f"{name}: was not running")
    write_services(home, {})


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
    return spawn(command, home, name, detached=True, extra=extra)


def ensure_pools(names: Sequence[str]) -> list[str]:
    """Process pools of these names, without a limit of their own: how many runs go on at once is for each worker.
    Gives those that people have paused, with their queues; they stay so.

    A pool would count runs whose process was killed for ever, and hold the workers of several machines to what the one
    has that came last.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
    from prefect.exceptions import ObjectNotFound

    paused = []
    with get_client(sync_client=True) as client:
        for name in names:
            try:
                pool = client.read_work_pool(name)
                client.update_work_pool(name, WorkPoolUpdate(concurrency_limit=None))
            except ObjectNotFound:
                client.create_work_pool(WorkPoolCreate(name=name, type="process"))
                continue
            queues = client.read_work_queues(work_pool_name=name)
            paused += [f"pool {name}"] if pool.is_paused else []
            paused += [f"queue {queue.name} of pool {name}" for queue in queues if queue.is_paused]
    return paused


def _say_ended(runs: Sequence[str], why: str, say: Callable[[str], None]) -> None:
    for run in runs:
        say(f"run: {run} ended unfinished, because {why}")


def _address(url: str) -> str:
    return url.rstrip("/").replace("//localhost", "//127.0.0.1")


def gpu_count() -> int:
    """CUDA devices of this machine, without importing torch."""
    try:
        found = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return sum(line.startswith("GPU ") for line in found.stdout.splitlines())


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
