"""Call a Numba function through its machine code, kept on disk: Numba is needed to compile it, not to call it again.

Numba takes 0.3 s to be imported and as long again to find a function that it has compiled before; an object file is
loaded in milliseconds.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from .lanes.machine import function_address

_FOREIGN = re.compile(r"^declare [^@]*@(?!llvm\.)(\S+?)\(", re.MULTILINE)


class Native:
    """The Numba function `name` of `module`, an importable name; `sources` are the files that its code depends on.

    It takes whole numbers, arrays and tuples of these, changes the arrays and returns nothing. It may neither allocate
    nor raise, and is compiled without counts of references (`_nrt=False`) and without wrappers for Python
    (`no_cpython_wrapper`, `no_cfunc_wrapper`): all these need Numba beside them.
    """

    def __init__(self, module: str, name: str, sources: list[Path], folder: Path) -> None:
        self.module, self.name, self.folder = module, name, folder
        self._source = [path.read_text() for path in (*sources, Path(__file__))]
        self._known: dict[str, Callable[..., int]] = {}

    def __call__(self, *arguments: Any) -> None:
        flat = list(_flat(arguments))
        # A view with gaps is copied, and copied back, rather than compiled for.
        held = [np.ascontiguousarray(a) if isinstance(a, np.ndarray) else int(a) for a in flat]
        words: list[int] = []
        for a in held:
            words += _words(a) if isinstance(a, np.ndarray) else [a]
        returned, raised = ctypes.c_void_p(), ctypes.c_void_p()  # written always
        if self._function(arguments, len(words))(ctypes.byref(returned), ctypes.byref(raised), *words) > 0:
            raise RuntimeError(f"{self.name!r} of {self.module} has raised an exception, which it may not")
        for given, a in zip(flat, held, strict=True):
            if a is not given and isinstance(given, np.ndarray) and given.flags.writeable:
                given[...] = a

    def _function(self, arguments: tuple[Any, ...], words: int) -> Callable[..., int]:
        """The compiled function for arguments of these types; it lets other threads of Python run meanwhile."""
        kind = repr(_kind(arguments))
        if kind not in self._known:
            key = repr((self._source, self.module, self.name, kind, np.__version__))
            address = function_address(self.folder, key, lambda symbol: self._text(symbol, arguments), True)
            given = [ctypes.c_void_p] * 2 + [ctypes.c_int64] * words
            self._known[kind] = ctypes.CFUNCTYPE(ctypes.c_int, *given)(address)
        return self._known[kind]

    def _text(self, symbol: str, arguments: tuple[Any, ...]) -> str:
        """LLVM text of the function `symbol`, called in the way of Numba's own code."""
        types = tuple(_type_of(argument) for argument in arguments)
        function = getattr(import_module(self.module), self.name)
        function.compile(types)
        text = function.inspect_llvm(types).replace(function.overloads[types].fndesc.llvm_func_name, symbol)
        if foreign := sorted(_FOREIGN.findall(text)):
            raise RuntimeError(
                f"{self.name!r} of {self.module} needs Numba to allocate, raise, count references or be called from "
                f"Python: it calls {', '.join(foreign)}"
            )
        return str(text)


def _words(a: np.ndarray) -> list[int]:
    """An array as compiled code is given it: owner and parent (none), size, size of an element, address, strides."""
    return [0, 0, a.size, a.itemsize, a.ctypes.data, *a.shape, *a.strides]


def _flat(argument: Any) -> Iterator[Any]:
    if isinstance(argument, tuple):
        for part in argument:
            yield from _flat(part)
    else:
        yield argument


def _kind(argument: Any) -> Any:
    """What of an argument the compiled code depends on."""
    if isinstance(argument, tuple):
        return getattr(argument, "_fields", ()), *(_kind(part) for part in argument)
    return (argument.ndim, argument.dtype.str) if isinstance(argument, np.ndarray) else "whole"


def _type_of(argument: Any) -> Any:
    """Numba's type of an argument, arrays being writable and without gaps."""
    from numba import types
    from numba.np.numpy_support import from_dtype

    if isinstance(argument, tuple):
        parts = [_type_of(part) for part in argument]
        if not hasattr(argument, "_fields"):
            return types.Tuple(parts)
        if len(set(parts)) == 1:
            return types.NamedUniTuple(parts[0], len(parts), type(argument))
        return types.NamedTuple(parts, type(argument))
    if isinstance(argument, np.ndarray):
        return types.Array(from_dtype(argument.dtype), argument.ndim, "C")
    return types.int64
