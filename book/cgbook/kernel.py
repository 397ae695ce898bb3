"""The process that a notebook runs in."""

import sys

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager


class ThisInterpreter(AsyncKernelManager):
    """Starts the interpreter that this process runs in, whatever kernels JUPYTER_PATH or the user's home name."""

    @property
    def kernel_spec(self) -> KernelSpec:
        start = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=start, language="python", display_name="Python 3")
