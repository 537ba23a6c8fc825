"""Set-up finds a Python that can run Mitra, or says in one line what it found instead."""

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "find-python"


def fake_python(folder: Path, name: str, version: str, *, venv: bool = True) -> None:
    program = folder / name
    asked = (
        f"case \"$2\" in *'%d.%d.%d'*) echo {version};; *ensurepip*) exit {0 if venv else 1};; *) echo {program};; esac"
    )
    program.write_text(f"#!/bin/sh\n{asked}\n")
    program.chmod(0o755)


def find(folder: Path, *names: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", SCRIPT, *names], env={"PATH": str(folder)}, capture_output=True, text=True, check=False
    )


def test_the_newest_that_fits_is_taken(tmp_path: Path) -> None:
    fake_python(tmp_path, "python3", "3.13.0")
    fake_python(tmp_path, "python3.11", "3.11.2")
    assert find(tmp_path).stdout == f"{tmp_path}/python3.11\n"
    fake_python(tmp_path, "python3.12", "3.12.1")
    assert find(tmp_path).stdout == f"{tmp_path}/python3.12\n"


def test_one_that_is_named_is_the_only_one_tried(tmp_path: Path) -> None:
    fake_python(tmp_path, "python3.12", "3.12.1")
    fake_python(tmp_path, "mine", "3.10.4")
    found = find(tmp_path, "mine")
    assert found.returncode == 1
    assert "tried mine; found mine=3.10.4:" in found.stderr


@pytest.mark.parametrize(
    ("version", "venv", "said"),
    [("3.13.0", True, "found python3=3.13.0:"), ("3.11.2", False, "python3=3.11.2 (without venv)")],
)
def test_a_wrong_one_is_one_clear_line(tmp_path: Path, version: str, venv: bool, said: str) -> None:
    fake_python(tmp_path, "python3", version, venv=venv)
    found = find(tmp_path)
    assert found.returncode == 1
    assert found.stdout == ""
    assert said in found.stderr
    assert found.stderr.count("\n") == 1


def test_none_at_all_is_one_clear_line(tmp_path: Path) -> None:
    assert "found none: install one, or name it: make setup PYTHON=" in find(tmp_path).stderr
