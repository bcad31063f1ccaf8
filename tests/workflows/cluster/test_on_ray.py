"""Captures on a real Ray: a cluster of two machines on this one, the second with what Ray takes for a GPU."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from da3_workflows.batch import run_batch
from da3_workflows.cluster import RayExecutor, executor
from da3_workflows.cluster.connection import connected, signals_raised
from da3_workflows.executors import LocalExecutor, executor_named
from da3_workflows.tasks import Report, Task
from PIL import Image

import da3_pipeline
from da3_pipeline.config import PipelineConfig
from da3_pipeline.errors import MissingExtraError, UsageError
from da3_pipeline.progress import SilentProgress

pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's
STORE = {"object_store_memory": 80 * 2**20}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two machines, the second with a GPU; `ray` is connected to them."""
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    soon = {"health_check_period_ms": 500, "health_check_initial_delay_ms": 500}  # a lost machine is missed
    head = {"num_cpus": 2, "include_dashboard": False, "_system_config": soon, **STORE}
    machines = Cluster(initialize_head=True, head_node_args=head)
    try:
        machines.add_node(num_cpus=2, num_gpus=1, **STORE)
        ray.init(address=machines.address, log_to_driver=False)
        yield machines
    finally:
        ray.shutdown()
        machines.shutdown()


def tasks(folder: Path, *kinds: str, **config: Any) -> list[Task]:
    settings = config or {"greeting": "hé", "infer": {"device": "cpu"}}
    return [
        Task(f"{kind} {index}", Path(kind), folder / f"{kind}-{index}", settings, folder / f"{index}.log")
        for index, kind in enumerate(kinds)
    ]


def said(reports: list[Report]) -> dict[str, Any]:
    """By capture, without what differs from process to process."""
    told = {}
    for report in reports:
        result = {name: value for name, value in (report.result or {}).items() if name not in ("pid", "threads")}
        told[report.task.name] = (report.task, result, report.exit_status, report.why)
    return told


def raylet(machine: Any) -> str:
    """The process by which workers know their machine."""
    return str(machine.all_processes["raylet"][0].process.pid)


def until_begun(task: Task) -> None:
    for _ in range(600):
        if task.output.exists() and task.output.read_text():
            return
        time.sleep(0.05)
    raise AssertionError(f"{task.name} did not begin")


def test_captures_end_as_they_do_on_this_machine(cluster: Any, tmp_path: Path, command: list[str]) -> None:
    wanted = tasks(tmp_path, "good", "abort", "is killed", "good", "grows")
    here = list(LocalExecutor(command=command).run(wanted, SilentProgress()))
    there = list(RayExecutor(2, command).run(wanted, SilentProgress()))
    assert said(there) == said(here)
    assert sorted(report.exit_status for report in there) == [-9, -6, 0, 0, 0]
    assert {report.result["threads"] for report in there if report.result} == {os.environ.get("OMP_NUM_THREADS", "1")}
    assert "about to abort" in (tmp_path / "1.log").read_text()


def test_stages_that_want_a_gpu_get_it_one_at_a_time_and_others_go_anywhere(
    cluster: Any, tmp_path: Path, command: list[str]
) -> None:
    wanted = tasks(tmp_path, *["legs"] * 3, infer={"device": "auto"})
    wanted = [Task(one.name, one.source, one.output, one.config, one.log, {"overwrite": True}) for one in wanted]
    reports = list(RayExecutor(1, command).run(wanted, SilentProgress()))
    assert [report.result and report.result["status"] for report in reports] == ["done"] * 3
    legs = [[json.loads(line) for line in task.output.read_text().splitlines()] for task in wanted]
    assert all([leg["through"] for leg in capture] == ["select", "infer", ""] for capture in legs)
    assert all([leg["gpu"] for leg in capture] == ["", "0", ""] for capture in legs)
    assert all([leg["overwrite"] for leg in capture] == [True, False, False] for capture in legs)
    on_gpu = sorted((capture[1] for capture in legs), key=lambda leg: leg["began"])
    assert {leg["raylet"] for leg in on_gpu} == {raylet(cluster.list_all_nodes()[1])}
    assert all(before["ended"] <= after["began"] for before, after in pairwise(on_gpu))


def test_captures_go_where_their_files_lie(
    cluster: Any, tmp_path: Path, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Machines with disks of their own; what only one without a GPU has is done there from end to end."""
    plain, with_gpu = cluster.list_all_nodes()
    lies = {plain.node_id: frozenset({0, 2}), with_gpu.node_id: frozenset({1, 2})}
    monkeypatch.setattr(executor._Dispatch, "_where", lambda self, tasks: lies)
    wanted = tasks(tmp_path, "legs", "legs", "legs", infer={"device": "auto"})
    list(RayExecutor(1, command).run(wanted, SilentProgress()))
    legs = [[json.loads(line) for line in task.output.read_text().splitlines()] for task in wanted]
    assert [leg["raylet"] for leg in legs[0]] == [raylet(plain)]
    assert [leg["raylet"] for leg in legs[1]] == [raylet(with_gpu)] * 3
    assert len(legs[2]) == 3


def test_machines_are_asked_what_they_have(cluster: Any, tmp_path: Path) -> None:
    import ray

    (tmp_path / "good").mkdir()
    there = Task("there", tmp_path / "good", tmp_path / "out", {}, tmp_path / "log")
    absent = Task("absent", tmp_path / "bad", tmp_path / "out", {}, tmp_path / "log")
    nodes = {node.node_id for node in cluster.list_all_nodes()}
    assert executor._Dispatch(ray, 1, None, None)._where([absent, there]) == dict.fromkeys(nodes, frozenset({1}))


def test_a_process_of_rays_that_is_killed_is_replaced(cluster: Any, tmp_path: Path, command: list[str]) -> None:
    wanted = tasks(tmp_path, "loses Ray's process", "good")
    reports = {report.task.name: report for report in RayExecutor(1, command).run(wanted, SilentProgress())}
    assert wanted[0].output.read_text() == "begun"
    assert [reports[task.name].exit_status for task in wanted] == [0, 0]


def test_a_machine_that_is_lost_loses_no_capture(
    cluster: Any, tmp_path: Path, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    third = cluster.add_node(num_cpus=2, **STORE)
    monkeypatch.setattr(executor._Dispatch, "_where", lambda self, tasks: {third.node_id: frozenset({0}), "": {}})
    wanted = tasks(tmp_path, "loses its machine", "good")

    def lose() -> None:
        until_begun(wanted[0])
        cluster.remove_node(third, allow_graceful=False)

    losing = threading.Thread(target=lose)
    losing.start()
    reports = {report.task.name: report for report in RayExecutor(1, command).run(wanted, SilentProgress())}
    losing.join()
    assert [reports[task.name].exit_status for task in wanted] == [0, 0]


def test_closing_interrupts_what_is_under_way_and_begins_nothing_else(
    cluster: Any, tmp_path: Path, command: list[str]
) -> None:
    wanted = tasks(tmp_path, "good", "sleep", "sleep", "sleep")
    reports = RayExecutor(1, command).run(wanted, SilentProgress())
    assert next(reports).result is not None
    until_begun(wanted[1])
    until_begun(wanted[2])
    reports.close()
    assert [task.output.read_text() for task in wanted[1:3]] == ["interrupted"] * 2
    assert not wanted[3].output.exists()


def test_what_takes_too_long_and_what_is_not_there_are_reports(
    cluster: Any, tmp_path: Path, command: list[str]
) -> None:
    (late,) = RayExecutor(1, command, limit_s=1.0).run(tasks(tmp_path, "sleep"), SilentProgress())
    assert late.result is None and "time limit" in late.why
    (absent,) = RayExecutor(1, ["/no/such/program"]).run(tasks(tmp_path, "good"), SilentProgress())
    assert absent.result is None and "could not be started" in absent.why


def stored_bytes(ray: Any) -> float:
    """What lies in the object stores, a moment later: machines tell of it ten times a second."""
    time.sleep(1.0)
    return float(ray.cluster_resources()["object_store_memory"] - ray.available_resources()["object_store_memory"])


def contents(session: Path) -> dict[str, bytes]:
    """What people and trainers get, but for the report and its metrics, which tell times."""
    files = [path for path in session.rglob("*") if path.is_file() and ".da3" not in path.parts]
    told = ("report.json", "report.html", "metrics.json")
    return {str(path.relative_to(session)): path.read_bytes() for path in files if path.name not in told}


def test_a_real_capture_gives_the_same_outputs_and_no_picture_goes_through_ray(cluster: Any, tmp_path: Path) -> None:
    import ray

    from da3_pipeline.training.synthetic import render_walk

    folder = tmp_path / "captures" / "walk"
    folder.mkdir(parents=True)
    for number, picture in enumerate(render_walk(seed=1, frames=3, width=160, height=120).frames()):
        Image.fromarray(picture).save(folder / f"{number}.png")
    summary = run_batch(tmp_path / "captures", tmp_path / "out", PipelineConfig(), executor=RayExecutor())
    assert all(record.finished for record in summary.records), summary.as_table()
    assert stored_bytes(ray) == 0
    held = ray.put(bytes(1 << 20))
    assert stored_bytes(ray) >= 1 << 20, held
    da3_pipeline.run(folder, tmp_path / "here")
    assert contents(tmp_path / "out" / "walk") == contents(tmp_path / "here")
    again = run_batch(tmp_path / "captures", tmp_path / "out", PipelineConfig(), executor=RayExecutor())
    assert all(record.reused for record in again.records)


def test_without_ray_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"da3-pipeline\[ray\]"):
        list(executor_named("ray", 1, None).run(tasks(tmp_path, "good"), SilentProgress()))


def test_a_cluster_that_does_not_answer_is_one_line_and_signals_stay_ours() -> None:
    class Ray:
        def is_initialized(self) -> bool:
            return False

        def init(self, address: str, **_: object) -> None:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            raise ConnectionError(f"nobody\nat {address}")

    before = signal.getsignal(signal.SIGTERM)
    told = r"--ray-address head:6379: no Ray answers \(nobody at head:6379\); check"
    with pytest.raises(UsageError, match=told), connected(Ray(), "head:6379"):
        raise AssertionError
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_ray_that_is_slow_to_start_is_asked_again_and_then_given_up() -> None:
    class Slow:
        def __init__(self, fails: int) -> None:
            self.fails, self.ended = fails, False

        def is_initialized(self) -> bool:
            return False

        def init(self, address: str, **_: object) -> None:
            self.fails -= 1
            if self.fails >= 0:
                raise Exception("The current node timed out during startup.")

        def shutdown(self) -> None:
            self.ended = True

    slow = Slow(2)
    with connected(slow, None):
        assert not slow.ended
    assert slow.ended
    with (
        pytest.raises(UsageError, match=r"Ray does not start here \(The current node timed out"),
        connected(Slow(3), None),
    ):
        raise AssertionError


def test_a_signal_that_comes_while_ray_waits_is_what_it_was() -> None:
    """Ray's native code turns what a handler raises into a SystemError."""

    class Asked(BaseException):
        pass

    with pytest.raises(Asked), signals_raised():
        raise SystemError("returned a result with an exception set") from Asked()
    with pytest.raises(SystemError, match="of its own"), signals_raised():
        raise SystemError("of its own")
