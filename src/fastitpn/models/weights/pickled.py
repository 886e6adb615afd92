"""Pickles read for their tensors alone: no class or function that they name is ever looked up, let alone called."""

import mmap
import pickle
from collections.abc import Callable
from typing import IO, Any, ClassVar

from fastitpn.models.weights.arrays import RECONSTRUCT, NumberType, StoredArray
from fastitpn.models.weights.stored import (
    INT64,
    Name,
    Refused,
    Stranger,
    describe_tensor,
    dtype_of,
    storage_of,
)

MAX_BYTES = 64 << 20
"""Of one pickle, storages not counted: each byte can become 64 in memory."""
_MAX_COPIED = 1_000_000
"""Pairs that become items of dictionaries: a list of them can be named again and again."""
_MAX_LETTERS = 500
_SCALARS = (str, int, float, bool, bytes, type(None))
_DICTS = ("collections.OrderedDict", "collections.Counter", "builtins.dict", "__builtin__.dict")
_LISTS = tuple(f"{module}.{kind}" for module in ("builtins", "__builtin__") for kind in ("list", "set", "frozenset"))
_REBUILDERS = ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3")
_WRAPPERS = (
    "_rebuild_parameter",
    "_rebuild_parameter_with_state",
    "torch.nn.parameter.Parameter",
    "torch.nn.parameter.Buffer",
    "torch.autograd.variable.Variable",
)
"""Functions and classes of PyTorch whose first argument is the tensor."""
_UNSAID = {
    "_codecs.encode",
    "argparse.Namespace",
    "builtins.object",
    "__builtin__.object",
    "collections.defaultdict",
    "torch.device",
}
"""Their values come out as they are, or nobody misses them."""


class Window:
    """The file of a pickle, of which no more than `MAX_BYTES` are read."""

    def __init__(self, file: IO[bytes] | mmap.mmap):
        self._file, self._left = file, MAX_BYTES

    def read(self, size: int) -> bytes:
        """The next bytes."""
        self._left -= size
        if self._left < 0:
            raise Refused(f"it has more than {MAX_BYTES >> 20} MiB beside its tensors")
        return self._file.read(size)

    def readline(self) -> bytes:
        """The next line; pickles have short ones only."""
        line = self._file.readline()
        self._left -= len(line)
        return line


class TensorUnpickler(pickle._Unpickler):  # that in C sets aside as much memory as a file says
    """Reads one pickle; `passed_over` then has the classes that were not looked up.

    Args:
        file: Where the pickle starts.
        persistent_load: What stands for a persistent id, `storage_of` if None.
    """

    dispatch: ClassVar[dict[int, Callable[..., None]]] = dict(pickle._Unpickler.dispatch)
    stack: list[Any]
    pop_mark: Callable[[], list[Any]]
    readline: Callable[[], bytes]

    def __init__(self, file: IO[bytes] | mmap.mmap, persistent_load: Callable[[Any], Any] | None = None):
        super().__init__(Window(file), encoding="latin1")
        self.passed_over: dict[str, None] = {}
        self._copied = 0
        self._persistent_load = persistent_load or storage_of

    def find_class(self, module: str, name: str) -> Name:
        """The name alone."""
        if len(module) + len(name) > _MAX_LETTERS:
            raise Refused(f"it names a class of more than {_MAX_LETTERS} letters")
        return Name(f"{module}.{name}")

    def persistent_load(self, pid: Any) -> Any:
        """A storage, described."""
        return self._persistent_load(pid)

    def get_extension(self, code: int) -> None:
        """Not supported: extensions are classes that the process knows by number."""
        raise Refused("it uses extensions of pickle")

    # ------------------------------------------------------------ what would call something

    def _call(self, function: object, arguments: object) -> Any:
        """What a call would have made, described: of PyTorch's and Python's plain types, else a stranger."""
        if not isinstance(function, (Name, Stranger)) or not isinstance(arguments, tuple):
            raise Refused("it calls what is no function")
        name = function.text if isinstance(function, Name) else function.name
        short = name.rpartition(".")[2] if name.startswith(("torch._utils.", "torch._tensor.")) else name
        if short in _REBUILDERS or (name.startswith("torch.") and name.endswith("Tensor") and len(arguments) == 4):
            dtype = dtype_of(arguments[6]) if short.endswith("v3") else None
            storage, offset, shape, stride = arguments[:4]
            return describe_tensor(storage, offset, shape, stride, dtype)
        if short in _WRAPPERS:
            return arguments[0]
        if short == "_rebuild_from_type_v2":
            return self._call(arguments[0], arguments[2])
        if name in _DICTS:
            return self._dict_of(arguments[0]) if arguments else {}
        if name in _LISTS:
            return arguments[0] if arguments and type(arguments[0]) is list else []
        if name == "torch.Size":
            return arguments[0] if type(arguments[0]) is tuple else ()
        if name in ("copyreg._reconstructor", "copy_reg._reconstructor"):  # of the oldest pickles
            return self._call(arguments[0], ())
        if name in ("builtins.getattr", "__builtin__.getattr") and isinstance(arguments[0], Name):  # a class in a class
            return self.find_class(arguments[0].text, str(arguments[1]))
        if name in RECONSTRUCT:
            return StoredArray(name)
        if name == "numpy.dtype":
            return NumberType(name, code=arguments[0] if arguments else None)
        if name == "_codecs.encode" and arguments and type(arguments[0]) is str:
            return arguments[0].encode("latin1", "replace")  # bytes, in the older protocols
        if name in ("builtins.bytes", "__builtin__.bytes") and not arguments:
            return b""
        if name not in _UNSAID:
            self.passed_over[name] = None
        return Stranger(name)

    def _dict_of(self, pairs: object) -> dict[Any, Any]:
        if type(pairs) is dict:
            return pairs
        result: dict[Any, Any] = {}
        for pair in pairs if type(pairs) is list else ():
            if type(pair) in (list, tuple) and len(pair) == 2:
                self._set(result, *pair)
        self._copied += len(result)
        if self._copied > _MAX_COPIED:
            raise Refused("it has too many items")
        return result

    @staticmethod
    def _set(items: dict[Any, Any], key: object, value: object) -> None:
        """Set an item; keys that are no plain value are left out: a tuple of tuples can take forever to hash."""
        if type(key) in _SCALARS and not (type(key) is int and abs(key) >= INT64):
            items[key] = value

    def _reduce(self) -> None:
        arguments = self.stack.pop()
        self.stack[-1] = self._call(self.stack[-1], arguments)

    def _new_with_keywords(self) -> None:
        self.stack.pop()  # keyword arguments
        self._reduce()

    def _instance(self) -> None:
        module, name = (self.readline()[:-1].decode("latin1") for _ in range(2))
        arguments = tuple(self.pop_mark())  # which changes the stack
        self.stack.append(self._call(self.find_class(module, name), arguments))

    def _object(self) -> None:
        function, *arguments = self.pop_mark()
        self.stack.append(self._call(function, tuple(arguments)))

    def _build(self) -> None:
        state = self.stack.pop()
        if isinstance(self.stack[-1], Stranger):
            self.stack[-1].state = state

    # ------------------------------------------------------------ what would change something

    def _append(self) -> None:
        self._extend([self.stack.pop()])

    def _appends(self) -> None:
        self._extend(self.pop_mark())

    def _extend(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is list:
            target.extend(values)
        elif not isinstance(target, Stranger):
            raise Refused(f"it appends to a {type(target).__name__}")

    def _setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._set_items([key, value])

    def _setitems(self) -> None:
        self._set_items(self.pop_mark())

    def _dictionary(self) -> None:
        flat = self.pop_mark()
        self.stack.append({})
        self._set_items(flat)

    def _set_items(self, flat: list[Any]) -> None:
        target = self.stack[-1]
        items = target.items if isinstance(target, Stranger) else target
        if type(items) is not dict:
            raise Refused(f"it sets items of a {type(target).__name__}")
        for key, value in zip(flat[::2], flat[1::2], strict=True):
            self._set(items, key, value)

    def _empty_set(self) -> None:
        self.stack.append([])  # a list, where nothing is hashed

    def _frozen_set(self) -> None:
        members = self.pop_mark()
        self.stack.append(members)

    def _refuse(self) -> None:
        raise Refused("it uses parts of pickle that PyTorch never writes")


_HANDLERS: dict[bytes, Callable[[TensorUnpickler], None]] = {
    pickle.REDUCE: TensorUnpickler._reduce,
    pickle.NEWOBJ: TensorUnpickler._reduce,
    pickle.NEWOBJ_EX: TensorUnpickler._new_with_keywords,
    pickle.INST: TensorUnpickler._instance,
    pickle.OBJ: TensorUnpickler._object,
    pickle.BUILD: TensorUnpickler._build,
    pickle.APPEND: TensorUnpickler._append,
    pickle.APPENDS: TensorUnpickler._appends,
    pickle.ADDITEMS: TensorUnpickler._appends,
    pickle.SETITEM: TensorUnpickler._setitem,
    pickle.SETITEMS: TensorUnpickler._setitems,
    pickle.DICT: TensorUnpickler._dictionary,
    pickle.EMPTY_SET: TensorUnpickler._empty_set,
    pickle.FROZENSET: TensorUnpickler._frozen_set,
    pickle.BYTEARRAY8: TensorUnpickler._refuse,
    pickle.NEXT_BUFFER: TensorUnpickler._refuse,
    pickle.READONLY_BUFFER: TensorUnpickler._refuse,
}
TensorUnpickler.dispatch.update({opcode[0]: handler for opcode, handler in _HANDLERS.items()})
