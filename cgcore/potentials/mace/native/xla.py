"""A function compiled by Numba as a custom call of XLA on the CPU.

XLA hands over one struct, `XLA_FFI_CallFrame` of xla/ffi/api/c_api.h (version 0.3, kept for older handlers): here it is
read as 64-bit words. What a handler is asked first is its version.
"""

from collections.abc import Callable
from pathlib import Path

import jax
import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ....store.files import digest

EXTENSION, STAGE, ARGUMENTS, RESULTS = 1, 4, 9, 14  # words of the call frame
DATA, RANK, DIMENSIONS = 3, 4, 5  # words of a buffer
METADATA, EXECUTE = 1, 3
VERSION = 3 << 32  # 0.3
BUFFERS = types.int64[::1]


@intrinsic
def _pointer(typingctx, address):
    """A 64-bit address as a pointer."""

    def codegen(context, builder, signature, args):
        return builder.inttoptr(args[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), codegen


@intrinsic
def _low32(typingctx, word):
    """The lower half of a word: enumerations are of 32 bits, with whatever beside them."""

    def codegen(context, builder, signature, args):
        return builder.sext(builder.trunc(args[0], ir.IntType(32)), ir.IntType(64))

    return types.int64(types.int64), codegen


@numba.njit
def _words(address):
    return numba.carray(_pointer(address), (16,), np.int64)


@numba.njit
def dimension(buffers, number, axis):
    """Length of one axis of an argument or result; `buffers` as `custom_call` hands them to its function."""
    return _words(_words(buffers[number])[DIMENSIONS])[axis]


@numba.njit
def rank(buffers, number):
    """Number of axes of an argument or result."""
    return _words(buffers[number])[RANK]


@numba.njit
def floats(buffers, number, shape):
    """An argument or result as an array of 32-bit floats of a known shape."""
    return numba.carray(_pointer(_words(buffers[number])[DATA]), shape, np.float32)


@numba.njit
def integers(buffers, number, shape):
    """An argument or result as an array of 32-bit integers of a known shape."""
    return numba.carray(_pointer(_words(buffers[number])[DATA]), shape, np.int32)


def compiled(make: Callable, *files: Path, parallel: bool = False) -> Callable:
    """Machine code of the function(arguments, results) that make(stamp) returns, kept on disk as long as `files` stay.

    Numba keeps compiled functions by their own file and closure alone: a function that mentions the stamp is kept by all that
    it calls, too.
    """
    function = make(digest(b"".join(path.read_bytes() for path in files)))
    try:
        # What is compiled anew is inlined into its caller and rounds otherwise than what is read from disk: all read it.
        numba.njit(cache=True, parallel=parallel)(function).compile((BUFFERS, BUFFERS))
        return numba.njit(cache=True, parallel=parallel)(function)
    except RuntimeError:  # no folder that can be written: compiled in each process
        return numba.njit(parallel=parallel)(function)


def custom_call(name: str, function: Callable, vmap_method: str | None = None) -> Callable:
    """Register function(arguments, results), compiled by Numba, with JAX; call it with result shapes and arrays.

    The function gets two arrays of buffers, of which `dimension`, `floats` and `integers` make arrays.
    """

    @numba.cfunc(types.int64(types.voidptr))
    def handler(frame):
        words = numba.carray(frame, (16,), np.int64)
        if words[EXTENSION] != 0:
            extension = _words(words[EXTENSION])
            if _low32(extension[1]) == METADATA:
                metadata = _words(extension[3])
                metadata[3] = VERSION
                return 0
        if _low32(words[STAGE]) == EXECUTE:
            function(
                numba.carray(_pointer(words[ARGUMENTS]), (64,), np.int64),
                numba.carray(_pointer(words[RESULTS]), (64,), np.int64),
            )
        return 0

    jax.ffi.register_ffi_target(name, jax.ffi.pycapsule(handler.ctypes), platform="cpu")

    def call(results, *arguments):
        return jax.ffi.ffi_call(name, results, vmap_method=vmap_method)(*arguments)

    call.handler = handler  # XLA keeps its address, so it must live
    return call
