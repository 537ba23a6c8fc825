"""The environment that Flink's processes run in, checked before anything starts.

Flink's thread mode imports `pemja` with the `python` that is first on PATH. Where that fails, the job restarts
for ever and Flink calls it RUNNING; so the right Python comes first here, and is asked.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from mitra.errors import MitraError
from mitra.local.java import BRIEF, java_home

_FOREIGN = ("PYTHONHOME", "PYTHONPATH", "FLINK_HOME", "FLINK_CONF_DIR", "FLINK_LIB_DIR", "FLINK_OPT_DIR")
"""Would lead Python or Flink to another installation than this one."""


def environment(
    venv: Path | None = None,
    *,
    heap_mb: int | None = None,
    logs: Path | None = None,
    brief: bool = False,
    environ: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return the environment for a child process that runs PyFlink.

    `venv` is the virtual environment to use, by default the one this Python belongs to; its bin folder comes first
    on PATH. JAVA_HOME is set. `heap_mb` bounds the heap of the JVM that PyFlink starts, `logs` is where it logs; `brief`: it is
    to run for some minutes.
    Raises MitraError where the `python` found there can't import `pemja`, or where there is no Java.
    """
    programs = (venv / "bin" if venv else Path(sys.executable).parent).absolute()
    inherited = os.environ if environ is None else environ
    env = {name: value for name, value in inherited.items() if name not in _FOREIGN}
    env["PATH"] = os.pathsep.join([str(programs), *filter(None, [env.get("PATH", os.defpath)])])
    env["VIRTUAL_ENV"] = str(programs.parent)
    home = java_home(inherited)
    env["JAVA_HOME"] = str(home)
    # The lookup in the graph gets a worker of its own, as on a cluster; else it would be a thread of this process.
    env["_python_worker_execution_mode"] = "process"
    if heap_mb is not None:
        env["JVM_ARGS"] = f"-Xmx{heap_mb}m"
    if brief:
        env["JVM_ARGS"] = f"{env.get('JVM_ARGS', '')} {BRIEF}".strip()
    if logs is not None:
        logs.mkdir(parents=True, exist_ok=True)
        env["FLINK_LOG_DIR"] = str(logs.absolute())
    _check_pemja(env["PATH"], str(programs))
    return env


@cache
def _check_pemja(path: str, programs: str) -> None:
    """Raise MitraError unless the `python` first on the path can import pemja, and is the one in `programs`."""
    python = shutil.which("python", path=path)
    if python is None or Path(python).parent != Path(programs):
        raise MitraError(
            f"the virtual environment has no `python`; expected={programs}/python, found={python or 'none'}; "
            "run Mitra from its own virtual environment (`make setup` makes it)"
        )
    # Looked up, not loaded: that takes 30 ms, and loading is the JVM's business.
    asked = subprocess.run(
        [python, "-I", "-c", "import importlib.util, sys; sys.exit(not importlib.util.find_spec('pemja'))"],
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.returncode != 0:
        raise MitraError(
            f"the Python that Flink will use can't import pemja; python={python}; "
            f"install Mitra there (`make setup`)\n{asked.stderr.strip()}".rstrip()
        )
