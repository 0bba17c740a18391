"""What the program itself consists of, as one hash: results that it decides are kept under it."""

import hashlib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@cache
def source_hash(*packages: str) -> str:
    """Return the SHA-256 of all Python files and templates of `packages`, such as ``golden``."""
    digest = hashlib.sha256()
    for package in packages:
        found = (ROOT / package).rglob("*")
        for path in sorted(p for p in found if p.suffix == ".py" or p.parent.name == "templates"):
            digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()
