"""What a synthesis run reports: metrics with units, and everything needed to repeat them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mubinn.golden.ground.errors import MubinnError

UNITS = {
    "depth": "gates",
    "gates": "gates",
    "delay_ps": "ps",
    "delay_fo4": "FO4",
    "area_um2": "um^2",
    "flipflops": "flip-flops",
    "memory_bits": "bit",
}


@dataclass(frozen=True)
class Metric:
    """A number and its unit."""

    value: float
    unit: str


@dataclass(frozen=True)
class SynthResult:
    """The figures of one design.

    Attributes
    ----------
    top : str
        Name of the module.
    metrics : mapping of str to Metric
        ``depth`` (two-input gates on the longest path; inverters count), ``gates``; with a library
        also ``delay_ps`` (worst path between inputs, outputs and flip-flops, through logic alone,
        without clock to Q and setup), ``delay_fo4``, ``area_um2`` (logic and flip-flops, not
        memories); ``flipflops`` and ``memory_bits``.
    cells : mapping of str to int
        Cells by type: of the library, or generic gates where there is none.
    strategies : mapping of str to str
        The winning strategy of the ``generic`` and of the ``mapped`` run.
    library, library_hash : str
        Name and SHA-256 of the library; empty where there is none.
    design_hash, script_hash : str
        SHA-256 of the Verilog text, and of all commands given to Yosys and ABC.
    tools : mapping of str to str
        Versions.
    """

    top: str
    metrics: Mapping[str, Metric]
    cells: Mapping[str, int]
    strategies: Mapping[str, str]
    library: str
    library_hash: str
    design_hash: str
    script_hash: str
    tools: Mapping[str, str]

    def metric(self, name: str) -> Metric:
        """Return the metric `name`.

        Raises
        ------
        MubinnError
            If the run did not measure it.
        """
        if name not in self.metrics:
            raise MubinnError(
                f"{self.top} has no measured {name}: synthesize it with a library and without "
                "skipping steps."
            )
        return self.metrics[name]

    @property
    def depth(self) -> int:
        """Longest path in two-input gates."""
        return int(self.metric("depth").value)

    @property
    def gates(self) -> int:
        """Number of two-input gates and inverters."""
        return int(self.metric("gates").value)

    @property
    def delay_ps(self) -> float:
        """Delay of the worst path, ps."""
        return self.metric("delay_ps").value

    @property
    def delay_fo4(self) -> float:
        """Delay of the worst path over the library's FO4."""
        return self.metric("delay_fo4").value

    @property
    def area_um2(self) -> float:
        """Area of logic and flip-flops, um^2."""
        return self.metric("area_um2").value

    @property
    def flipflops(self) -> int:
        """Number of flip-flops."""
        return int(self.metric("flipflops").value)

    @property
    def memory_bits(self) -> int:
        """Bits in memories, which are in no other figure."""
        return int(self.metric("memory_bits").value)

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON types."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "SynthResult":
        """Return the result that `to_json` gave."""
        metrics = {name: Metric(**m) for name, m in data["metrics"].items()}
        return cls(**{**data, "metrics": metrics})
