"""Compiled kernels follow their sources, those of the functions that they call too."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CALLED = """
from pathlib import Path
from mitra.compiled import compiler
jit = compiler(Path(__file__).parent)
@jit
def called(x):
    return x + {added}
"""
CALLS = """
from kernels.called import called, jit
@jit
def calls(x):
    return called(x) * 2
"""


def answer(folder: Path) -> int:
    run = subprocess.run(
        [sys.executable, "-c", "from kernels.calls import calls; print(calls(1))"],
        env={"PYTHONPATH": f"{folder}:{ROOT}"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return int(run.stdout)


def test_a_kernel_is_compiled_anew_when_one_that_it_calls_changes_and_not_before(tmp_path: Path):
    package = tmp_path / "kernels"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "calls.py").write_text(CALLS)
    (package / "called.py").write_text(CALLED.format(added=1))
    assert answer(tmp_path) == 4
    assert len(list(package.glob("__pycache__/kernels-*"))) == 1
    assert answer(tmp_path) == 4
    assert len(list(package.glob("__pycache__/kernels-*"))) == 1
    (package / "called.py").write_text(CALLED.format(added=5))
    assert answer(tmp_path) == 12
