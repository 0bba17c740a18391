"""What measurements of layers keep by content, so that an interrupted one goes on."""

import hashlib
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from mubinn.golden.ground.fixed import Ints
from mubinn.hw.export.layer_folder import LayerDesign
from mubinn.synth.energy.energy import EnergyLibrary
from mubinn.synth.energy.energy_layer import layer_energy
from mubinn.synth.flow.cache import cached, content_key
from mubinn.synth.flow.flow import tool_versions
from mubinn.synth.flow.source import source_hash


class Keeper:
    """Answers by what they are made of, the program and its tools among it."""

    def __init__(self) -> None:
        self._common = {
            "sources": source_hash("golden", "hw", "sim", "synth"),
            "tools": tool_versions(),
        }

    def kept(self, what: str, make: Callable[[], dict[str, Any]], **parts: Any) -> dict[str, Any]:
        """Return an answer that is kept by what it is made of."""
        return cached(content_key({"what": what, **self._common, **parts}), make)

    def layer_energy(
        self,
        cells: EnergyLibrary,
        design: LayerDesign,
        codes: Ints,
        say: Callable[[str], None],
        *,
        gated: bool = False,
    ) -> dict[str, Any]:
        """Return the fields of `mubinn.synth.energy.energy_layer.LayerEnergy`, as JSON has them."""

        def make() -> dict[str, Any]:
            found = layer_energy(cells, design, codes, say, gated=gated)
            return {**asdict(found), "logic": found.logic.parts}

        return self.kept(
            "energy of a layer",
            make,
            verilog=digest(design.verilog.encode()),
            codes=digest(codes.tobytes()),
            library=cells.library.sha256,
            dont_use=list(cells.library.dont_use),
            gated=gated,
        )


def digest(data: bytes) -> str:
    """Return the SHA-256 of bytes."""
    return hashlib.sha256(data).hexdigest()
