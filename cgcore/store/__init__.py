"""The only place for file paths: bundled data, runs named by what made them, atomic writes."""

from cgcore.store.bundled import data_file
from cgcore.store.files import (
    StoreError,
    data_hash,
    load_tree,
    read_json,
    read_npz,
    read_toml,
    replacing,
    require_room,
    save_tree,
    write_json,
    write_npz,
)
from cgcore.store.runs import Run, open_run
