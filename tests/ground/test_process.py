"""Workers: status and log, ended with their children, and the job that they answer."""

import json
import os
import subprocess
import sys
import time

import pytest

from mubinn.golden.ground import process
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.process import answer_job, leashed, python_module, run_process


def test_status_and_log(tmp_path):
    code = "import os, sys; print('out'); print(os.environ['OWN'], file=sys.stderr); sys.exit(7)"
    log = tmp_path / "log"
    assert run_process([sys.executable, "-c", code], log, {"OWN": "err"}) == 7
    assert sorted(log.read_text().split()) == ["err", "out"]


def test_time_that_is_up_ends_the_child_too(tmp_path):
    child = tmp_path / "child"
    code = (
        "import subprocess, sys, time\n"
        "sleep = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(child)!r}, 'w').write(str(sleep.pid))\ntime.sleep(60)"
    )
    with pytest.raises(subprocess.TimeoutExpired):
        run_process([sys.executable, "-c", code], tmp_path / "log", os.environ, timeout_s=3)
    _wait_for(lambda: not _alive(child.read_text()))


def test_one_core_where_nothing_is_known(monkeypatch):
    monkeypatch.delattr(process.os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(process.os, "cpu_count", lambda: None)
    assert process.cores() == 1


OWN = "from mubinn.golden.ground.leash import end_with_caller\nend_with_caller()\n"


@pytest.mark.parametrize(("own", "hold"), [(OWN, ""), ("", "leashed")], ids=["ours", "leashed"])
def test_a_killed_caller_takes_the_worker_and_its_child_with_it(own, hold, tmp_path):
    worker = (
        f"import os, subprocess, sys, time\n{own}"
        "sleep = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "with open('pids.new', 'w') as file: file.write(f'{os.getpid()} {sleep.pid}')\n"
        "os.rename('pids.new', 'pids'); time.sleep(600)"
    )
    code = (
        "import os, sys\nfrom pathlib import Path\n"
        "from mubinn.golden.ground.process import leashed, run_process\n"
        f"command = {hold}([sys.executable, '-c', {worker!r}])\n"
        "run_process(command, Path('log'), os.environ)"
    )
    caller = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path)
    pids = tmp_path / "pids"
    _wait_for(pids.exists, 60)
    assert all(map(_alive, pids.read_text().split()))
    caller.kill()
    caller.wait()
    _wait_for(lambda: not any(map(_alive, pids.read_text().split())))


def _wait_for(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not condition():
        time.sleep(0.02)
    assert condition()


def _alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_leashed_program_gives_its_status(tmp_path):
    log = tmp_path / "log"

    def status(*command):
        return run_process(leashed(command), log, os.environ)

    assert status(sys.executable, "-c", "raise SystemExit(7)") == 7
    assert status("sh", "-c", "kill -9 $$") == 128 + 9
    assert status("no-such-program") == 127
    assert log.read_text() == "no-such-program: not found\n"


def test_killing_a_process_that_is_gone_is_no_fault():
    gone = subprocess.Popen([sys.executable, "-c", ""], start_new_session=True)
    gone.wait()
    process._kill(gone)
    assert gone.returncode == 0


def test_a_module_is_not_looked_for_in_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "platform.py").write_text("raise SystemExit(3)")
    assert run_process(python_module("platform"), tmp_path / "log", os.environ) == 0


def test_a_job_is_answered_or_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "job.json").write_text('{"n": 3}')

    def refuse(_):
        raise MubinnError("no")

    for answer, told in (
        (lambda job: {"twice": 2 * job["n"]}, {"twice": 6}),
        (refuse, {"error": "no"}),
    ):
        assert answer_job(str(tmp_path), answer) == 0
        assert json.loads((tmp_path / "result.json").read_text()) == told
