"""Turn written instructions into functions of this machine, and keep them on disk by content."""

from __future__ import annotations

import gc
import hashlib
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding as llvm

_LOCK = threading.RLock()
_KEPT: list[Any] = []  # a function lives as long as the engine that made it


@cache
def _processor() -> tuple[str, str]:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()


def _target() -> Any:
    """A new one each time: the engine it is given to takes it over."""
    name, features = _processor()
    target = llvm.Target.from_default_triple()
    return target.create_target_machine(cpu=name, features=features, opt=2, jit=True, codemodel="jitdefault")


@cache
def writers_digest() -> str:
    """Digest of all that writes instructions: a change there makes every stored function stale."""
    text = b"\0".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    return hashlib.sha256(text).hexdigest()


@contextmanager
def _no_collection() -> Iterator[None]:
    """Writing makes many small objects that stay until its end, which a collector would walk in vain: a third of it."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class _Shelf:
    """One stored object file: what LLVM asks before and after it compiles."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def put(self, module: Any, code: bytes) -> None:
        with tempfile.NamedTemporaryFile(dir=self.path.parent, delete=False) as scratch:
            scratch.write(code)
        os.replace(scratch.name, self.path)

    def get(self, module: Any) -> bytes | None:
        return self.path.read_bytes() if self.path.exists() else None


def function_address(folder: Path, key: str, write: Callable[[str], str], optimised: bool = False) -> int:
    """Address of the function that `write(name)` gives as LLVM text, from `folder` if it was compiled before.

    `key` names everything that the text depends on, apart from the modules beside this one and the machine;
    `optimised` says that the text needs no more than to be translated.
    """
    with _LOCK:
        versions = f"{llvmlite.__version__} {llvm.llvm_version_info} {_processor()} {writers_digest()}"
        name = f"twinarm_{hashlib.sha256(f'{versions} {key}'.encode()).hexdigest()[:24]}"
        shelf = _Shelf(folder / f"{name}.o")
        if shelf.path.exists():
            text = f'source_filename = "{name}"\n'
        else:
            with _no_collection():
                text = write(name)
        module = llvm.parse_assembly(text)
        if not optimised:
            _optimise(module)
        engine = llvm.create_mcjit_compiler(module, _target())
        engine.set_object_cache(shelf.put, shelf.get)
        engine.finalize_object()
        _KEPT.append((engine, shelf))
        return int(engine.get_function_address(name))


def _optimise(module: Any) -> None:
    module.verify()
    tuning = llvm.create_pipeline_tuning_options(speed_level=2)
    tuning.loop_vectorization = tuning.slp_vectorization = tuning.loop_unrolling = False
    builder = llvm.create_pass_builder(_target(), tuning)
    builder.getModulePassManager().run(module, builder)
