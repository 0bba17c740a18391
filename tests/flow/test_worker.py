"""The worker in this process, its process wrapper, the netlist's figures, and the cache."""

import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.process import Cancelled, answer_job
from mubinn.synth import builtin_library
from mubinn.synth.flow import strategies, worker
from mubinn.synth.flow.cache import cached, content_key
from mubinn.synth.flow.process import run_worker
from mubinn.synth.netlist import netlist

ADDER = "module top(input [3:0] a, b, output [4:0] y); assign y = a + b; endmodule"
TECH65 = builtin_library()


@pytest.fixture
def job(tmp_path, monkeypatch):
    """A folder as the worker expects it; returns the mapped job."""
    folder = tmp_path / "job"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("TMPDIR", str(folder))
    (folder / "design.v").write_text(ADDER)
    (folder / "l.lib").write_text(TECH65.texts[0])
    (folder / "constraints").write_text(TECH65.constraints())
    return {
        "kinds": ["mapped"],
        "top": "top",
        "libraries": ["l.lib"],
        "dont_use": ["INV_X8"],
        "areas": {c.name: c.area_um2 for c in TECH65.gates},
        "flipflops": [c.name for c in TECH65.gates if c.has_state],
    }


def finish(job):
    Path("job.json").write_text(json.dumps(job))
    assert answer_job(".", worker.run_job) == 0
    return json.loads(Path("result.json").read_text())


def test_both_kinds_choose_the_best_strategy(job):
    mapped = finish(job)["mapped"]
    assert set(mapped["tried"]) == {"plain", "syn4", "balance"}
    assert mapped["delay_ps"] == min(delay for delay, _ in mapped["tried"].values())
    assert [mapped["delay_ps"], mapped["area_um2"]] == mapped["tried"][mapped["recipe"]]
    generic = finish({"kinds": ["generic"], "top": "top"})["generic"]
    assert [generic["depth"], generic["gates"]] == min(generic["tried"].values())
    assert generic["depth"] <= 6


STATEFUL = """module top(input clk, input [7:0] a, b, output reg [15:0] y);
always @(posedge clk) y <= y + a * b; endmodule"""


@pytest.mark.parametrize("verilog", [ADDER.replace("3:0", "9:0"), STATEFUL])
def test_runs_that_share_a_process_tell_what_each_tells_alone(job, verilog):
    files = {"design.v": verilog, **{n: Path(n).read_text() for n in ("l.lib", "constraints")}}
    both = run_worker({**job, "kinds": ["generic", "mapped"]}, files)
    for kind in both:
        assert run_worker({**job, "kinds": [kind]}, files) == {kind: both[kind]}
    assert (both["mapped"]["flipflops"] > 0) == (verilog == STATEFUL)


def test_other_logic_than_what_was_balanced_is_balanced_anew(job, monkeypatch):
    scripts = []
    made = worker._strategy
    monkeypatch.setattr(worker, "_strategy", lambda *args: scripts.append(args[2]) or made(*args))
    whole = finish({**job, "kinds": ["generic", "mapped"]})
    assert scripts[-1] == strategies.script("mapped", "balance", balanced=True)
    logics = iter([b"a", b"b", b"b"])
    monkeypatch.setattr(worker, "_logic", lambda: next(logics))
    assert finish({**job, "kinds": ["generic", "mapped"]})["mapped"] == whole["mapped"]
    assert scripts[-2] == strategies.script("mapped", "balance", balanced=True)
    assert scripts[-1] == strategies.script("mapped", "balance")


def test_large_designs_are_balanced_alone(job, monkeypatch):
    kinds = {"kinds": ["generic", "mapped"]}
    few = finish({**job, **kinds})
    monkeypatch.setattr(strategies, "FEW_CELLS", 3)
    many = finish({**job, **kinds})
    for kind in few:
        assert many[kind]["tried"] == {"balance": few[kind]["tried"]["balance"]}


def test_cells_that_the_library_lacks_are_named(job):
    del job["areas"]["NAND2_X1"], job["areas"]["XOR2_X1"]
    assert "no cell for" in finish(job)["error"]
    job["areas"].update(NAND2_X1=None, XOR2_X1=1.0)
    assert "no area for NAND2_X1" in finish(job)["error"]


def test_delay_is_read_from_the_last_line_or_missed():
    line = "ABC: Gates = 4 ( 0.0 %) Cap = 1.0 ff Area = {} (9 %) \x1b[1;33mDelay = {} ps (1 %)\n"
    assert worker.parse_stime(line.format("7.5", "12.25") + line.format("8.0", "11.50")) == 11.5
    with pytest.raises(MubinnError, match="no delay"):
        worker.parse_stime("ABC: nothing")


def script(tmp_path, text):
    path = tmp_path / "fake.py"
    path.write_text(text)
    return (sys.executable, str(path))


def test_answer_and_private_folder(tmp_path):
    fake = script(
        tmp_path,
        "import json, os, sys\nd = sys.argv[1]\n"
        "json.dump({'tmp': os.environ['TMPDIR'], 'dir': d, 'text': open(d + '/x.v').read()},"
        "open(d + '/result.json', 'w'))",
    )
    answer = run_worker({"top": "t"}, {"x.v": "abc"}, command=fake)
    assert answer["tmp"] == answer["dir"]
    assert answer["text"] == "abc"
    assert not Path(answer["dir"]).exists()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("import os; os.abort()", "exit status -6"),
        ("print('one'); print('two')", r"exit status 0.*ends: one \| two"),
        ("print('Warning: w'); print('ERROR: e'); raise SystemExit(1)", r"Warning: w \| ERROR: e"),
        ("import sys\nopen(sys.argv[1] + '/result.json', 'w').write('{\"error\": \"o\"}')", "o"),
    ],
)  # fmt: skip
def test_failures_tell_the_tail_of_the_log(tmp_path, text, told):
    with pytest.raises(MubinnError, match=told):
        run_worker({"top": "t"}, {}, command=script(tmp_path, text))


def test_cancel_kills_the_process_and_its_children(tmp_path):
    pids = tmp_path / "pids"
    fake = script(
        tmp_path,
        "import os, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(pids)!r} + '.new', 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
        f"os.rename({str(pids)!r} + '.new', {str(pids)!r})\n"
        "time.sleep(60)",
    )
    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(run_worker, {"top": "t"}, {}, stop, fake)
        while not pids.exists():
            time.sleep(0.02)
        stop.set()
        with pytest.raises(Cancelled):
            future.result(timeout=10)
    for pid in map(int, pids.read_text().split()):
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and alive(pid):
            time.sleep(0.02)
        assert not alive(pid)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def gate(kind, inputs, output):
    ports = {f"I{k}": [bit] for k, bit in enumerate(inputs)}
    return {
        "type": kind,
        "connections": {**ports, "Y": [output]},
        "port_directions": {**dict.fromkeys(ports, "input"), "Y": "output"},
    }


def test_depth_of_a_hand_made_netlist():
    cells = {
        "a": gate("$_AND_", [2, 3], 10),
        "b": gate("$_XOR_", [10, "1"], 11),
        "f": gate("$_DFF_P_", [11], 12),
        "c": gate("$_NOT_", [12], 13),
    }
    assert netlist.logic_depth({"cells": cells}) == 2
    cells["f"]["type"] = "$_OR_"
    assert netlist.logic_depth({"cells": cells}) == 4
    cells["a"]["connections"]["I1"] = [13]
    with pytest.raises(MubinnError, match="combinational loop"):
        netlist.logic_depth({"cells": cells})
    assert netlist.logic_depth({"cells": {}}) == 0


def test_memory_bits_and_counts_of_a_hand_made_netlist():
    memory = {"type": "$mem_v2", "parameters": {"SIZE": "1010", "WIDTH": "0111"}}
    module = {"cells": {"m": memory, "a": {"type": "$_AND_"}, "s": {"type": "$scopeinfo"}}}
    assert netlist.memory_bits(module) == 70
    assert netlist.cell_counts(module) == {"$_AND_": 1}


def test_cache_keeps_json_and_makes_once(tmp_path):
    calls = []

    def make():
        calls.append(1)
        return {"value": 1.25, "names": ["a"]}

    key = content_key({"b": 1, "a": [2]})
    assert key == content_key({"a": [2], "b": 1}) != content_key({"a": [3], "b": 1})
    assert cached(key, make, tmp_path) == cached(key, make, tmp_path) == make()
    assert len(calls) == 2
    assert not [p for p in tmp_path.rglob("*") if b"\x80\x04" in p.read_bytes()[:2]]


def test_failed_makes_are_not_kept(tmp_path):
    with pytest.raises(MubinnError):
        cached("k", lambda: (_ for _ in ()).throw(MubinnError("no")), tmp_path)
    assert cached("k", lambda: {"v": 1}, tmp_path) == {"v": 1}


def test_cache_used_by_two_processes(tmp_path):
    code = (
        "import sys\nfrom mubinn.synth.flow.cache import cached\n"
        "for k in range(60):\n"
        "    assert cached(f'k{k}', lambda: {'v': k}, sys.argv[1]) == {'v': k}\n"
    )
    runs = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(2)]
    assert [run.wait(timeout=120) for run in runs] == [0, 0]
    assert cached("k59", lambda: {"v": -1}, tmp_path) == {"v": 59}


def test_unusable_cache_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MubinnError, match="MUBINN_CACHE"):
        cached("k", dict, tmp_path / "file")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "cache.db").write_bytes(os.urandom(4096))
    with pytest.raises(MubinnError, match="MUBINN_CACHE"):
        cached("k", dict, tmp_path / "bad")
