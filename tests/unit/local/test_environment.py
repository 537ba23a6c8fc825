"""The environment of Flink's processes: the right Python and Java first, nothing foreign."""

import os
import sys
from pathlib import Path

import pytest

from mitra.errors import MitraError
from mitra.local.environment import environment


def test_the_virtual_environment_comes_first_and_java_is_set(tmp_path: Path) -> None:
    env = environment(environ={"PATH": "/usr/bin"}, heap_mb=700, logs=tmp_path / "logs")
    assert env["PATH"].split(os.pathsep) == [str(Path(sys.executable).parent), "/usr/bin"]
    assert (Path(env["JAVA_HOME"]) / "bin" / "java").exists()
    assert env["JVM_ARGS"] == "-Xmx700m"
    assert env["FLINK_LOG_DIR"] == str(tmp_path / "logs")
    assert (tmp_path / "logs").is_dir()


def test_what_leads_to_another_python_or_flink_is_left_out() -> None:
    foreign = {"PATH": "/usr/bin", "PYTHONPATH": "/x", "PYTHONHOME": "/y", "FLINK_HOME": "/z", "LANG": "C.UTF-8"}
    env = environment(environ=foreign)
    assert env["LANG"] == "C.UTF-8"
    assert not {"PYTHONPATH", "PYTHONHOME", "FLINK_HOME"} & env.keys()


def test_a_venv_without_python_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MitraError, match=r"has no `python`; expected=.*/bin/python"):
        environment(tmp_path)


def test_a_python_without_pemja_is_refused(tmp_path: Path) -> None:
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    with pytest.raises(MitraError, match=rf"can't import pemja; python={python}"):
        environment(tmp_path)
