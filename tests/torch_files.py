"""PyTorch's files made without PyTorch: its pickles, archives, and the form before version 1.6."""

import io
import pickle
import zipfile
from collections import OrderedDict

import numpy as np

STORAGES = {"f8": "Double", "f4": "Float", "f2": "Half", "i8": "Long", "i4": "Int", "b1": "Bool"}


class Global(str):
    """A class or function, by its module and name with a dot between."""


class Call:
    """An object that a function makes of its arguments when it is loaded."""

    def __init__(self, function, *arguments, state=None):
        self.function, self.arguments, self.state = Global(function), arguments, state


class Raw:
    """Opcodes as they are, after a persistent id where there is one."""

    def __init__(self, code, pid=None):
        self.code, self.pid = code, pid


class Writer(pickle._Pickler):
    """Python's own pickler, and objects of any name."""

    def __init__(self, file, protocol, storages):
        super().__init__(file, protocol)
        self.storages = storages

    def save(self, value, save_persistent_id=True):
        if isinstance(value, Global):
            module, _, name = value.rpartition(".")
            self.write(f"c{module}\n{name}\n".encode())
        elif isinstance(value, Raw):
            if value.pid:
                self.save(value.pid)
            self.write(value.code)
        elif isinstance(value, Call):
            self.save(value.function)
            self.save(value.arguments)
            self.write(pickle.REDUCE)
            if value.state is not None:
                self.save(value.state)
                self.write(pickle.BUILD)
        elif isinstance(value, np.ndarray):
            self.save(self.tensor(value))
        else:
            super().save(value, save_persistent_id)

    def tensor(self, array, name=None):
        key = str(len(self.storages))
        self.storages[key] = np.ascontiguousarray(array)
        storage = Global(f"torch.{name or STORAGES[array.dtype.str[1:]]}Storage")
        about = Pid(("storage", storage, key, "cpu", array.size))
        strides = tuple(step // array.itemsize for step in np.ascontiguousarray(array).strides)
        more = (False, OrderedDict())
        return Call(
            "torch._utils._rebuild_tensor_v2", about, 0, array.shape, strides[: array.ndim], *more
        )

    def save_pid(self, pid):
        self.save(tuple(pid) + self.more)
        self.write(pickle.BINPERSID)


class Pid(tuple):
    """What speaks of a storage."""


Writer.dispatch = {**pickle._Pickler.dispatch, Pid: lambda self, pid: self.save_pid(pid)}


def program(value, storages=None, more=(), protocol=2):
    """A pickle of `value`."""
    buffer = io.BytesIO()
    writer = Writer(buffer, protocol, {} if storages is None else storages)
    writer.more = more
    writer.dump(value)
    return buffer.getvalue()


def archive(value, pack=zipfile.ZIP_STORED, **options):
    """What torch.save writes."""
    storages = {}
    code = program(value, storages, **options)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", pack) as file:
        file.writestr("model/data.pkl", code)
        file.writestr("model/byteorder", "little")
        for key, array in storages.items():
            file.writestr(f"model/data/{key}", array.tobytes())
    return buffer.getvalue()


def stream(value, little_endian=True, **options):
    """What torch.save wrote before version 1.6."""
    storages = {}
    about = {"protocol_version": 1001, "little_endian": little_endian}
    pickles = [0x1950A86A20F9469CFC6C, 1001, about]
    code = b"".join(program(part) for part in pickles)
    code += program(value, storages, (None,), **options)
    code += program(sorted(storages))
    for key in sorted(storages):
        code += storages[key].size.to_bytes(8, "little") + storages[key].tobytes()
    return code
