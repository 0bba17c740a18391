"""``python -m fuzz``: malformed files by the ten thousand at every door, resumed where it ended.

Case N of a door is always the same file. Each core works in a process of its own, which may use
2 GB and a minute of computing a file; one that crashes or hangs is told and started anew. What
fails is kept in FOLDER/failures and tried again by the next run; how far each door has come is in
FOLDER/done.json.
"""

import json
import multiprocessing
import os
import resource
import signal
import sys
import time
import traceback
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

import click
import numpy as np
from rich.progress import track

MEMORY = 2 << 30
SECONDS = 60
"""Computing time of a case, which a machine at work on more than this does not use up."""

PATIENCE = 10 * SECONDS
"""Until a case that does not compute hangs."""

CHUNK = 500


def attempt(name: str, number: int, folder: Path) -> tuple[str, bytes, str | None]:
    """Make case `number` of a door and enter with it; return suffix, bytes and what went wrong."""
    from fuzz.doors import DOORS

    door = DOORS[name]
    suffix, data = door.case(np.random.default_rng([zlib.crc32(name.encode()), number]), folder)
    path = folder / f"case{suffix}"
    path.write_bytes(data)
    try:
        door.enter(folder, path)
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        at = f"{Path(where.filename).name}:{where.lineno}"
        return suffix, data, f"{type(error).__name__} at {at}: {str(error)[:300]}"
    finally:
        path.unlink(missing_ok=True)
    return suffix, data, None


def good_files(folder: Path) -> None:
    """Write the good files of all doors."""
    from conftest import build, build_float, build_quantized_gru
    from fuzz.doors import make_good

    models = [
        ("good.mubinn", build(levels=(2, 2), features=5, hidden=4, classes=2)),
        ("gru.mubinn", build_quantized_gru(seed=1)),
        ("good.safetensors", build_float(features=5, hidden=4, classes=2)),
    ]
    make_good(folder, models)


def work(name: str, numbers: range, seconds: int, folder: Path, pipe: Any) -> None:
    """Be a worker: try cases, of so much computing each, and send after each what went wrong."""
    os.environ["MUBINN_SHARED"] = os.devnull
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.stdout = sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115
    good_files(folder)
    for number in numbers:
        end = int(time.process_time()) + seconds
        resource.setrlimit(resource.RLIMIT_CPU, (end, resource.RLIM_INFINITY))
        suffix, data, fault = attempt(name, number, folder)
        pipe.send(fault and (suffix, data, fault))


def cases(
    name: str, numbers: range, seconds: int = SECONDS
) -> Iterator[tuple[int, tuple[str, bytes, str] | None]]:
    """Try cases in a process of its own; yield each with its fault, also a crash or a hang."""
    context = multiprocessing.get_context("spawn")
    done = numbers.start
    while done < numbers.stop:
        ours, theirs = context.Pipe(duplex=False)
        left = range(done, numbers.stop)
        died = f"more than {PATIENCE} s"
        # The folder is not the worker's own, which is killed where it hangs and leaves it behind.
        with TemporaryDirectory(prefix="mubinn-fuzz-") as there:
            worker = context.Process(
                target=work, args=(name, left, seconds, Path(there), theirs), daemon=True
            )
            worker.start()
            theirs.close()
            try:
                while done < numbers.stop and ours.poll(PATIENCE):
                    yield done, ours.recv()
                    done += 1
            except EOFError:
                worker.join()
                died = f"the process ended with status {worker.exitcode}"
                if worker.exitcode == -signal.SIGXCPU:
                    died = f"more than {seconds} s of computing"
            finally:
                worker.kill()
                worker.join()
        if done < numbers.stop:
            yield done, ("", b"", died)
            done += 1


class Campaign:
    """How far the doors have come, kept in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.lock = folder, Lock()
        folder.mkdir(parents=True, exist_ok=True)
        kept = folder / "done.json"
        self.done: dict[str, list[int]] = json.loads(kept.read_text()) if kept.exists() else {}
        self.failures = len(list(folder.glob("failures/*.txt")))

    def run(self, name: str, numbers: range) -> None:
        """Try some cases of a door and keep what comes of them."""
        for number, fault in cases(name, numbers):
            if fault is not None:
                self._keep(name, number, *fault)
        with self.lock:
            self.done.setdefault(name, []).append(numbers.start)
            fresh = self.folder / "done.tmp"
            fresh.write_text(json.dumps(self.done, indent=1) + "\n")
            fresh.replace(self.folder / "done.json")

    def seen(self, name: str) -> int:
        """Return how many files a door has seen."""
        return CHUNK * len(self.done.get(name, []))

    def again(self) -> None:
        """Try what has failed before; what comes in now is no failure any more."""
        for kept in sorted(self.folder.glob("failures/*.txt")):
            name, _, number = kept.stem.rpartition("-")
            for file in kept.parent.glob(f"{kept.stem}.*"):
                file.unlink()
            self.failures -= 1
            for case, fault in cases(name, range(int(number), int(number) + 1)):
                if fault is not None:
                    self._keep(name, case, *fault)

    def _keep(self, name: str, number: int, suffix: str, data: bytes, fault: str) -> None:
        place = self.folder / "failures"
        place.mkdir(exist_ok=True)
        (place / f"{name}-{number}.case{suffix}").write_bytes(data)
        (place / f"{name}-{number}.txt").write_text(f"{fault}\n")
        with self.lock:
            self.failures += 1


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--count", default=100_000, show_default=True, help="Files, shared among the doors.")
@click.option("--workers", default=os.cpu_count() or 1, show_default=True)
@click.option("--door", multiple=True, help="These doors alone.")
def main(folder: Path, count: int, workers: int, door: tuple[str, ...]) -> None:
    """Try COUNT malformed files and print how many each door has seen and what failed."""
    from fuzz.doors import DOORS

    campaign = Campaign(folder)
    names = door or tuple(DOORS)
    each = -(-count // (len(names) * CHUNK)) * CHUNK
    todo = [
        (name, range(start, start + CHUNK))
        for start in range(0, each, CHUNK)
        for name in names
        if start not in campaign.done.get(name, [])
    ]
    started = time.perf_counter()
    campaign.again()
    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(campaign.run, *part) for part in todo]
        for future in track(futures, "fuzz", transient=True):
            future.result()
    for name in names:
        click.echo(f"{name:12} {campaign.seen(name):7,} files")
    total = sum(campaign.seen(name) for name in names)
    click.echo(
        f"{total:,} files, {campaign.failures} failures, {time.perf_counter() - started:.0f} s"
    )
    sys.exit(1 if campaign.failures else 0)
