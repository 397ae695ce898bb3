"""The only place for file paths: bundled data, runs named by what made them, atomic writes."""

from cgcore.store.bundled import data_file
from cgcore.store.files import StoreError, load_tree, read_json, read_npz, save_tree, write_json, write_npz
from cgcore.store.identity import code_hash, data_hash, run_id
from cgcore.store.runs import Run, StaleResultError, open_run, take_over

__all__ = [
    "Run",
    "StaleResultError",
    "StoreError",
    "code_hash",
    "data_file",
    "data_hash",
    "load_tree",
    "open_run",
    "read_json",
    "read_npz",
    "run_id",
    "save_tree",
    "take_over",
    "write_json",
    "write_npz",
]
