"""Reads a PyTorch ``.pt`` file without PyTorch, and without running anything that is in it.

Such a file is a zip archive: ``data.pkl``, a program for Python's unpickling machine, and the bytes
of each storage. The program is not given to that machine, which can call any function: a small one
here knows the few opcodes that build dictionaries of tensors, and refuses all other objects.
"""

import io
import pickletools
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.importers.parts import MAX_SIZE

MAX_PROGRAM = 1 << 24
"""Longest ``data.pkl``; the one of a state dictionary takes about 100 bytes a tensor."""

STORAGES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": "bf16",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "|i1",
    "ByteStorage": "|u1",
    "BoolStorage": "|b1",
}
DAMAGED = "it is truncated or damaged: copy or export it again"


@dataclass(frozen=True)
class Name:
    """A class or function that the program mentions; never looked up, never called."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


def bf16(data: bytes) -> npt.NDArray[np.float32]:
    """Return the bfloat16 numbers of `data`: the upper halves of float32."""
    return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)


def read_zip(data: bytes) -> zipfile.ZipFile:
    """Return the archive; raise `MubinnError` where it is none or unpacks to too much."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        raise MubinnError(DAMAGED) from None
    if sum(info.file_size for info in archive.infolist()) > MAX_SIZE:
        raise MubinnError("it unpacks to more than any model: give another file")
    return archive


def member(archive: zipfile.ZipFile, name: str) -> bytes:
    """Return a part of the archive; raise `MubinnError` where it is missing or damaged."""
    try:
        return archive.read(name)
    except (KeyError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError):
        # RuntimeError: encrypted; its subclass NotImplementedError: an unknown compression.
        raise MubinnError(DAMAGED) from None


def read_pt(archive: zipfile.ZipFile) -> Any:
    """Return the object of a ``.pt`` archive: dictionaries, lists, numbers, texts, NumPy arrays.

    Raises
    ------
    MubinnError
        For other Python objects, and for damaged files.
    """
    program = next(name for name in archive.namelist() if name.endswith("data.pkl"))
    root = program.removesuffix("data.pkl")
    if (
        f"{root}byteorder" in archive.namelist()
        and member(archive, f"{root}byteorder") != b"little"
    ):
        raise MubinnError("its numbers are big-endian: save the model on another machine")
    code = member(archive, program)
    if len(code) > MAX_PROGRAM:
        raise MubinnError("its data.pkl is longer than that of any model: give another file")
    return Machine(lambda key: member(archive, f"{root}data/{key}")).run(code)


class Machine:
    """The opcodes of a state dictionary; `storage` returns the bytes of the storage with a key."""

    def __init__(self, storage: Callable[[str], bytes]) -> None:
        self._storage = storage
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def run(self, code: bytes) -> Any:
        """Return what the program `code` builds; raise `MubinnError`."""
        try:
            for opcode, argument, _ in pickletools.genops(code):
                if opcode.name == "STOP":
                    return self._stack.pop()
                self._do(opcode.name, argument)
        except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError):
            raise MubinnError(DAMAGED) from None
        raise MubinnError(DAMAGED)

    def _do(self, op: str, argument: Any) -> None:
        stack = self._stack
        if op in CONSTANTS:
            stack.append(argument if op in ARGUMENTS else CONSTANTS[op]())
        elif op in ("PROTO", "FRAME"):
            pass
        elif op == "MARK":
            self._marks.append(len(stack))
        elif op in ("BINPUT", "LONG_BINPUT", "PUT"):
            self._memo[argument] = stack[-1]
        elif op == "MEMOIZE":
            self._memo[len(self._memo)] = stack[-1]
        elif op in ("BINGET", "LONG_BINGET", "GET"):
            stack.append(self._memo[argument])
        elif op == "GLOBAL":
            stack.append(Name(*argument.split(" ", 1)))
        elif op == "STACK_GLOBAL":
            name, module = stack.pop(), stack.pop()
            stack.append(Name(str(module), str(name)))
        elif op in ("TUPLE1", "TUPLE2", "TUPLE3", "TUPLE"):
            count = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}.get(op)
            items = self._marked() if count is None else [stack.pop() for _ in range(count)][::-1]
            stack.append(tuple(items))
        else:
            self._fill(op)

    def _fill(self, op: str) -> None:
        """Opcodes that change what stands on the stack, and those that build objects."""
        stack = self._stack
        if op in ("APPEND", "APPENDS"):
            items = self._marked() if op == "APPENDS" else [stack.pop()]
            stack[-1].extend(items)
        elif op in ("SETITEM", "SETITEMS"):
            items = self._marked() if op == "SETITEMS" else [stack.pop(), stack.pop()][::-1]
            stack[-1].update(zip(items[::2], items[1::2], strict=True))
        elif op == "BUILD":
            # A state dictionary's own attribute, the versions of its modules.
            state, target = stack.pop(), stack[-1]
            if not isinstance(target, dict) or not isinstance(state, dict):
                raise TypeError
        elif op == "BINPERSID":
            stack.append(self._load(*stack.pop()))
        elif op == "REDUCE":
            arguments, function = stack.pop(), stack.pop()
            stack.append(self._call(function, arguments))
        else:
            raise MubinnError(f"it holds a Python object of its own ({op}): {SAVE_WEIGHTS}")

    def _marked(self) -> list[Any]:
        start = self._marks.pop()
        items = self._stack[start:]
        del self._stack[start:]
        return items

    def _load(self, kind: str, storage: Name, key: str, _: str, count: int) -> npt.NDArray[Any]:
        if kind != "storage" or storage.module != "torch" or storage.name not in STORAGES:
            raise MubinnError(f"it holds the storage {storage}, which is not known: {SAVE_WEIGHTS}")
        dtype, data = STORAGES[storage.name], self._storage(str(key))
        array = bf16(data) if dtype == "bf16" else np.frombuffer(data, dtype)
        if array.size != count:
            raise ValueError
        return array

    def _call(self, function: Any, arguments: tuple[Any, ...]) -> Any:
        name = str(function)
        if name == "collections.OrderedDict" and isinstance(function, Name) and not arguments:
            return {}
        if name == "torch._utils._rebuild_parameter":
            return arguments[0]
        if name == "torch._utils._rebuild_tensor_v2":
            return tensor(*arguments[:4])
        raise MubinnError(f"it holds a Python object of {name}: {SAVE_WEIGHTS}")


def tensor(
    storage: npt.NDArray[Any], offset: int, shape: tuple[int, ...], strides: tuple[int, ...]
) -> npt.NDArray[Any]:
    """Return the view of `storage` that a tensor is, checked to lie inside it."""
    if min((offset, *shape, *strides)) < 0 or len(shape) != len(strides):
        raise ValueError
    count = prod(shape)
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    if count and (last >= storage.size or count > storage.size):
        raise ValueError
    if not count:
        return np.zeros(shape, storage.dtype)
    steps = [step * storage.itemsize for step in strides]
    return np.lib.stride_tricks.as_strided(storage[offset:], shape, steps, writeable=False)


SAVE_WEIGHTS = "save the weights alone, torch.save(model.state_dict(), path)"
ARGUMENTS = (
    "BINUNICODE",
    "SHORT_BINUNICODE",
    "BINUNICODE8",
    "UNICODE",
    "BININT",
    "BININT1",
    "BININT2",
    "INT",
    "LONG",
    "LONG1",
    "BINFLOAT",
    "SHORT_BINBYTES",
)
CONSTANTS: dict[str, Callable[[], Any]] = {
    **dict.fromkeys(ARGUMENTS, lambda: None),
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
}
