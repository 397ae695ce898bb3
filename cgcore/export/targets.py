"""What targets share."""

from importlib.util import find_spec

from .source import ExportError


def needs(module: str, extra: str, use: str = ""):
    """Raise ExportError unless a module of an optional package can be imported."""
    if find_spec(module) is None:
        raise ExportError(
            f"want {module}, which is not installed: `uv sync --extra {extra}`, or pip install 'cgcore[{extra}]'{use}"
        )


def numbers(source) -> dict:
    """Of the dynamics that ran, for scripts: temperature_K, dt_fs, friction_per_ps."""
    md = source.config.md
    return {"temperature_K": md.temperature_K, "dt_fs": 1000 * md.dt_ps, "friction_per_ps": md.friction_per_ps}
