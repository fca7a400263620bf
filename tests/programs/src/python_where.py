# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
"""python_where.py: prints the heap that serves each domain (raw, mem, object): its name, or None if it is no heap of
Cairn's."""

import ctypes

process = ctypes.CDLL(None)


def heap_name(address):
    if not hasattr(process, "cairn_heap_of"):
        return None
    process.cairn_heap_of.restype = ctypes.c_void_p
    process.cairn_heap_of.argtypes = [ctypes.c_void_p]
    process.cairn_heap_name.restype = ctypes.c_char_p
    process.cairn_heap_name.argtypes = [ctypes.c_void_p]
    heap = process.cairn_heap_of(address)
    return process.cairn_heap_name(heap).decode() if heap else None


def served_by(function):
    function.restype = ctypes.c_void_p
    return heap_name(function(ctypes.c_size_t(100)))


api = ctypes.pythonapi
print(served_by(api.PyMem_RawMalloc), served_by(api.PyMem_Malloc), served_by(api.PyObject_Malloc))
