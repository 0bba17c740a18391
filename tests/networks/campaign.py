"""``python -m networks FOLDER``: random networks through all floors, resumed where it ended.

Network N is always the same one. Each is quantized, saved and loaded, run by the bit-true model and
the fast inference, simulated layer by layer with every named intermediate held to the bit-true
model, and written as an accelerator whose own bench is run. FOLDER/done.jsonl has a line for each.
"""

import json
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
from networks.random_network import check, random_network
from rich.progress import Progress

from mubinn.golden.ground.errors import MubinnError


def attempt(seed: int) -> dict[str, Any]:
    """Check network `seed`; return what it is and what came of it."""
    started = time.perf_counter()
    told: dict[str, Any] = {"seed": seed}
    try:
        network = random_network(seed)
        told["network"] = str(network)
        with TemporaryDirectory(prefix="mubinn-network-") as folder:
            told |= check(network, Path(folder))
        told["result"] = "equal"
    except MubinnError as error:
        # Simulations that differ raise it too.
        told |= {"result": "refused or different", "error": str(error)[:600]}
    except Exception as error:
        told |= {"result": "failed", "error": f"{type(error).__name__}: {str(error)[:600]}"}
    return told | {"seconds": round(time.perf_counter() - started, 1)}


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--count", default=40, show_default=True, help="Networks.")
@click.option("--workers", default=2, show_default=True)
def main(folder: Path, count: int, workers: int) -> None:
    """Check COUNT random networks; what was equal before is not checked again."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / "done.jsonl"
    lines = kept.read_text().splitlines() if kept.exists() else []
    done = {told["seed"]: told for told in map(json.loads, lines) if told["result"] == "equal"}
    # A number may have been another network before.
    names = {seed: str(random_network(seed)) for seed in done if seed < count}
    done = {seed: done[seed] for seed, name in names.items() if done[seed]["network"] == name}
    todo = [seed for seed in range(count) if seed not in done]
    with kept.open("a") as log, ProcessPoolExecutor(workers) as pool, Progress() as progress:
        task = progress.add_task("networks", total=len(todo))
        for future in as_completed([pool.submit(attempt, seed) for seed in todo]):
            told = future.result()
            done[told["seed"]] = told
            log.write(json.dumps(told) + "\n")
            log.flush()
            progress.advance(task)
            if told["result"] != "equal":
                progress.console.print(json.dumps(told, indent=1))
    chosen = [done[seed] for seed in range(count)]
    results = Counter(told["result"] for told in chosen)
    values = sum(told.get("values", 0) for told in chosen)
    click.echo(f"{len(chosen)} networks: {dict(results)}; {values:,} values of layers compared.")
    sys.exit(0 if set(results) == {"equal"} else 1)
