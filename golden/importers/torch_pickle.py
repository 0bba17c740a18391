"""Python's pickles without running anything that is in them: what PyTorch's files consist of.

A pickle is a program for Python's unpickling machine, which can call any function. It is not given
to that machine: a small one here builds dictionaries, lists, texts, numbers, and tensors of
PyTorch. Any other object is passed over: its name stands in its place.
"""

import pickletools
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.importers.archive import DAMAGED
from mubinn.golden.importers.stored import Stored

MAX_PROGRAM = 1 << 24
"""Longest pickle; the one of a state dictionary takes about 100 bytes a tensor."""

MAX_STEPS = 1 << 22
"""Most operations of one pickle, each of which may build an object."""

MAX_KEY = 256
"""Longest name of something in a dictionary; what has a longer one is passed over."""

SAVE_WEIGHTS = "save the weights alone, torch.save(model.state_dict(), path)"

STORAGES = {
    "DoubleStorage": ("float64", 8),
    "FloatStorage": ("float32", 4),
    "HalfStorage": ("float16", 2),
    "BFloat16Storage": ("bfloat16", 2),
    "LongStorage": ("int64", 8),
    "IntStorage": ("int32", 4),
    "ShortStorage": ("int16", 2),
    "CharStorage": ("int8", 1),
    "ByteStorage": ("uint8", 1),
    "BoolStorage": ("bool", 1),
    "ComplexFloatStorage": ("complex64", 8),
    "ComplexDoubleStorage": ("complex128", 16),
    "QInt8Storage": ("qint8", 1),
    "QUInt8Storage": ("quint8", 1),
    "QInt32Storage": ("qint32", 4),
    "QUInt4x2Storage": ("quint4x2", 1),
    "QUInt2x4Storage": ("quint2x4", 1),
    "UntypedStorage": ("bytes", 1),
}
"""Type of the numbers of each storage, and the bytes that one takes."""


@dataclass(frozen=True)
class Name:
    """A class or function that the program mentions; never looked up, never called."""

    text: str


@dataclass(frozen=True, eq=False)
class Storage:
    """The numbers of one or more tensors: their type and what reads their bytes."""

    kind: str
    data: Callable[[], bytes]


class Opaque(Stored):
    """Stands for an object that is not built; `kind` names what would build it."""

    @property
    def is_beside(self) -> bool:
        """Whether it is no tensor."""
        return "_rebuild" not in self.kind


Loader = Callable[[tuple[Any, ...]], Any]


class Machine:
    """Unpickles one program after the other.

    `load` returns the storage that the tuple of a persistent id speaks of, or the class.
    """

    def __init__(self, load: Loader) -> None:
        self._load = load
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[Any, Any] = {}

    def run(self, file: BinaryIO) -> Any:
        """Return what the program at this place of `file` builds; raise `MubinnError`."""
        self._stack, self._marks, self._memo = [], [], {}
        try:
            return self._built(file)
        except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError):
            raise MubinnError(DAMAGED) from None

    def _built(self, file: BinaryIO) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of texts with backslashes
            for step, (opcode, argument, _) in enumerate(pickletools.genops(file)):
                if opcode.name == "STOP":
                    return self._stack.pop()
                if step > MAX_STEPS:
                    raise MubinnError(f"it holds more objects than any checkpoint: {SAVE_WEIGHTS}")
                if opcode.name in ARGUMENTS:
                    self._stack.append(argument)
                else:
                    ACTIONS[opcode.name](self, argument)
        raise MubinnError(DAMAGED)

    def nothing(self, argument: Any) -> None:
        """Pass over an opcode that says how the program is written."""

    def mark(self, argument: Any) -> None:
        """Remember where a row of items begins."""
        self._marks.append(len(self._stack))

    def pop_mark(self, argument: Any = None) -> list[Any]:
        """Remove the items from the last mark on, and return them."""
        start = self._marks.pop()
        items = self._stack[start:]
        del self._stack[start:]
        return items

    def pop(self, argument: Any) -> None:
        """Drop the top; as Python's machine does, a mark where there is no item above it."""
        if self._marks and self._marks[-1] == len(self._stack):
            self._marks.pop()
        else:
            self._stack.pop()

    def copy(self, argument: Any) -> None:
        """Repeat the top."""
        self._stack.append(self._stack[-1])

    def put(self, argument: Any) -> None:
        """Keep the top under a number, the next one where none is given."""
        self._memo[len(self._memo) if argument is None else argument] = self._stack[-1]

    def get(self, argument: Any) -> None:
        """Push what is kept under a number."""
        self._stack.append(self._memo[argument])

    def name(self, argument: str | None) -> None:
        """Push a class or function by its module and name."""
        if argument is None:
            last, module = self._stack.pop(), self._stack.pop()
            argument = f"{module} {last}" if type(last) is type(module) is str else ""
        self._stack.append(Name(argument.replace(" ", ".", 1)[:MAX_KEY]))

    def collect(self, kind: Callable[[list[Any]], Any], count: int | None) -> None:
        """Push a list, tuple or dictionary of `count` items, None for those from the mark on."""
        items = self.pop_mark() if count is None else [self._stack.pop() for _ in range(count)]
        self._stack.append(kind(items if count is None else items[::-1]))

    def extend(self, items: list[Any]) -> None:
        """Append `items` to the list on top; other objects are not built."""
        target = self._stack[-1]
        if isinstance(target, list):
            target.extend(items)
        elif not isinstance(target, Opaque):
            raise TypeError

    def append(self, argument: Any) -> None:
        """Append one item."""
        item = self._stack.pop()
        self.extend([item])

    def update(self, items: list[Any]) -> None:
        """Put `items`, a key and a value in turn, into the dictionary on top."""
        target = self._stack[-1]
        if isinstance(target, dict):
            target.update(dictionary(items))
        elif not isinstance(target, Opaque):
            raise TypeError

    def set_item(self, argument: Any) -> None:
        """Put one value into a dictionary."""
        value, key = self._stack.pop(), self._stack.pop()
        self.update([key, value])

    def build(self, argument: Any) -> None:
        """Drop the attributes of an object, such as the versions in a state dictionary."""
        self._stack.pop()

    def persistent(self, argument: Any) -> None:
        """Push a storage."""
        about = self._stack.pop()
        if type(about) is not tuple:
            raise TypeError
        self._stack.append(self._load(about))

    def reduce(self, argument: Any) -> None:
        """Push what a function makes of its arguments."""
        arguments, function = self._stack.pop(), self._stack.pop()
        self._stack.append(called(function, arguments))

    def new(self, count: int) -> None:
        """Pass over an object that is made from `count` items: its class and arguments."""
        items = [self._stack.pop() for _ in range(count)]
        self._stack.append(opaque(items[-1]))

    def new_marked(self, argument: str | None) -> None:
        """Pass over an object of old: its class and arguments since the mark."""
        items = self.pop_mark()
        name = items[0] if argument is None else Name(argument.replace(" ", ".", 1)[:MAX_KEY])
        self._stack.append(opaque(name))


def dictionary(items: list[Any]) -> dict[Any, Any]:
    """Return the dictionary of keys and values in turn, those with usual keys alone.

    A key that is a tuple may take for ever to hash; nothing of a model stands under one.
    """
    pairs = zip(items[::2], items[1::2], strict=True)
    return {key: value for key, value in pairs if _is_key(key)}


def _is_key(key: Any) -> bool:
    return type(key) is int or (type(key) is str and len(key) <= MAX_KEY)


def opaque(function: Any) -> Opaque:
    """Return what stands for an object that `function`, itself perhaps unknown, makes."""
    if isinstance(function, Name | Opaque):
        return Opaque(function.text if isinstance(function, Name) else function.kind)
    raise TypeError


def called(function: Any, arguments: Any) -> Any:
    """Return what a function of PyTorch's files makes of its arguments, unless it is unknown."""
    name = function.text if isinstance(function, Name) else ""
    if type(arguments) is not tuple:
        raise TypeError
    if name in ("collections.OrderedDict", "collections.defaultdict"):
        # Python 2 gave the items of ordered dictionaries as lists of two.
        pairs = arguments[0] if arguments and type(arguments[0]) is list else []
        return dictionary([part for key, value in pairs for part in (key, value)])
    if name in ("torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state"):
        return arguments[0]
    if name == "torch._tensor._rebuild_from_type_v2" and arguments[1] in PLAIN:
        return called(arguments[0], arguments[2])
    if name in TENSORS and len(arguments) >= TENSORS[name]:
        storage, offset, shape, strides = arguments[:4]
        return tensor(storage, offset, shape, strides, arguments[6:])
    return opaque(function)


def tensor(storage: Any, offset: Any, shape: Any, strides: Any, more: tuple[Any, ...]) -> Stored:
    """Return the view of a storage that a tensor is; raise ValueError for other arguments.

    `more` are a type that a storage does not have, and marks such as a negation: neither is read.
    """
    if not isinstance(storage, Storage) or type(shape) is not tuple or type(strides) is not tuple:
        raise ValueError
    if not all(type(n) is int for n in (offset, *shape, *strides)):
        raise ValueError
    marks = [mark for mark in more if mark]
    kind = storage.kind
    if marks:
        kind = marks[0].text if isinstance(marks[0], Name) else f"{kind} with marks"
    return Stored(kind, shape, storage.data, offset, strides)


PLAIN = (Name("torch.Tensor"), Name("torch.nn.parameter.Parameter"))
TENSORS = {
    "torch._utils._rebuild_tensor": 4,
    "torch._utils._rebuild_tensor_v2": 6,
    "torch._utils._rebuild_tensor_v3": 7,
}
"""Functions that make tensors, and the fewest arguments: the first four are the tensor."""

ARGUMENTS = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}
"""Opcodes that push their argument."""


def _push(make: Callable[[], Any]) -> Callable[[Machine, Any], None]:
    return lambda machine, _: machine._stack.append(make())


def _collect(kind: Callable[[Any], Any], count: int | None) -> Callable[[Machine, Any], None]:
    return lambda machine, _: machine.collect(kind, count)


def _set(_: Any) -> Opaque:
    return Opaque("builtins.set")


ACTIONS: dict[str, Callable[[Machine, Any], Any]] = {
    **dict.fromkeys(("PROTO", "FRAME", "READONLY_BUFFER"), Machine.nothing),
    "NONE": _push(lambda: None),
    "NEWTRUE": _push(lambda: True),
    "NEWFALSE": _push(lambda: False),
    "EMPTY_DICT": _push(dict),
    "EMPTY_LIST": _push(list),
    "EMPTY_TUPLE": _push(tuple),
    "EMPTY_SET": _push(lambda: Opaque("builtins.set")),
    "NEXT_BUFFER": _push(lambda: Opaque("a buffer outside the file")),
    "MARK": Machine.mark,
    "POP_MARK": Machine.pop_mark,
    "POP": Machine.pop,
    "DUP": Machine.copy,
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), Machine.put),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), Machine.get),
    **dict.fromkeys(("GLOBAL", "STACK_GLOBAL"), Machine.name),
    "TUPLE": _collect(tuple, None),
    "TUPLE1": _collect(tuple, 1),
    "TUPLE2": _collect(tuple, 2),
    "TUPLE3": _collect(tuple, 3),
    "LIST": _collect(list, None),
    "DICT": _collect(dictionary, None),
    "FROZENSET": _collect(_set, None),
    "APPEND": Machine.append,
    "APPENDS": lambda machine, _: machine.extend(machine.pop_mark()),
    "ADDITEMS": lambda machine, _: machine.extend(machine.pop_mark()),
    "SETITEM": Machine.set_item,
    "SETITEMS": lambda machine, _: machine.update(machine.pop_mark()),
    "BUILD": Machine.build,
    "BINPERSID": Machine.persistent,
    "REDUCE": Machine.reduce,
    "NEWOBJ": lambda machine, _: machine.new(2),
    "NEWOBJ_EX": lambda machine, _: machine.new(3),
    "INST": Machine.new_marked,
    "OBJ": Machine.new_marked,
}
