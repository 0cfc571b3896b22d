"""Named workloads: files with every knob they set, why, and the objectives they are judged by.

The files lie in config/workloads of the project, and beside this module in an installed package. A profile of the
user's own is a file of the same form. Knows nothing of how load is made.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec

from queen import units
from queen.bench import knobs
from queen.bench.workload import Workload
from queen.errors import SettingsError
from queen.settings.sources import nearest
from queen.settings.yaml_file import read_flat_yaml

DEFAULT: Final = "baseline-10k"

_INSTALLED: Final = Path(__file__).parent / "workloads"
_PROJECT: Final = Path(__file__).parents[2] / "config" / "workloads"
_STATED: Final = frozenset({"name", "version", "about", "slos"})
"""What every profile has to say of itself."""


def names() -> list[str]:
    """The profiles that come with Queen, in alphabetical order."""
    return sorted(path.stem for path in _folder().glob("*.yaml"))


def load(name: str) -> Workload:
    """A profile by its name, or by the path of a file (anything that ends in .yaml or .yml, or has a slash).

    Raises SettingsError: an unknown name with the nearest one, or everything that is wrong in the file.
    """
    if "/" in name or name.endswith((".yaml", ".yml")):
        return read(Path(name))
    if name not in names():
        known = ", ".join(names())
        raise SettingsError(f"{name}: unknown profile{nearest(name, names())}", hint=f"profiles: {known}; or a file")
    return read(_folder() / f"{name}.yaml", shown=f"{name}.yaml", whole=True)


def read(path: Path, *, base: Workload | None = None, shown: str | None = None, whole: bool = False) -> Workload:
    """The workload of a file. Knobs it leaves out are those of `base`, or the defaults of `Workload`; without a name it
    is called after the file. `whole`: it has to state its name, version, reason and objectives. Raises SettingsError.
    """
    shown = shown or str(path)
    entries, problems = read_flat_yaml(path, shown)
    missing = sorted(_STATED - {entry.key for entry in entries}) if whole and not problems else []
    problems += [f"{shown}: does not state its {name}" for name in missing]
    if problems:
        raise SettingsError("\n".join(problems), hint="config/workloads/baseline-10k.yaml is an example of such a file")
    start = base or Workload(name=path.stem)
    return knobs.overridden(start, [(entry.key, entry.value, f"{shown}:{entry.line}") for entry in entries])


def listing() -> list[dict[str, Any]]:
    """Every profile as plain JSON values: all knobs in force, those of the defaults too."""
    return [msgspec.to_builtins(load(name)) for name in names()]


def text() -> str:
    """The profiles for the terminal: name, version, rate and shape in a line, below it the reason and objectives."""
    return "\n\n".join(_paragraph(load(name)) for name in names())


def _paragraph(workload: Workload) -> str:
    head = f"{workload.name}  v{workload.version}" + ("  (the default)" if workload.name == DEFAULT else "")
    shape = (
        f"{units.format_rate(workload.rate)} × {units.format_bytes(workload.payload_bytes)}, "
        f"{workload.push_batch} a push, up to {workload.pop_batch} a pop, {workload.partitions:,} partitions, "
        f"{workload.groups} × {workload.consumers} consumers"
    )
    return "\n".join([head, f"  {workload.about}", f"  {shape}", f"  SLO  {' · '.join(workload.slos)}"])


def _folder() -> Path:
    return _INSTALLED if _INSTALLED.is_dir() else _PROJECT
