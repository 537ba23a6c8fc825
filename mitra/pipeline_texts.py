"""The texts of files that a pipeline consists of."""

from pathlib import Path

from mitra.errors import Problem, ProblemsError

MAX_FILE_BYTES = 1_000_000


def file_text(path: Path) -> str:
    """Return a file's text. Raises ProblemsError where it can't be read, is too long, or is no UTF-8."""
    try:
        data = path.read_bytes() if path.is_file() else None
    except OSError as error:
        raise ProblemsError(str(path), [Problem("", f"cannot be read: {error.strerror}")]) from error
    if data is None:
        hint = _files_nearby(path)
        raise ProblemsError(
            str(path), [Problem("", "is a folder, not a file" if path.is_dir() else "there is no such file", hint)]
        )
    if len(data) > MAX_FILE_BYTES:
        raise ProblemsError(str(path), [Problem("", f"is {len(data)} bytes long; allowed: {MAX_FILE_BYTES}")])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        problem = Problem("", f"byte {error.start} is not UTF-8", "save the file as UTF-8", line)
        raise ProblemsError(str(path), [problem]) from error


def _files_nearby(path: Path) -> str:
    folder = path if path.is_dir() else path.parent
    names = sorted(file.name for file in folder.glob("*.y*ml")) if folder.is_dir() else []
    names = [name for name in names if name != "flink-conf.yaml"]
    return f"there is {', '.join(str(folder / name) for name in names[:5])}" if names else ""
