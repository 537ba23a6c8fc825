"""Mitra's own files are found in a checkout; what it keeps goes where it may."""

from pathlib import Path

import pytest

from mitra.errors import MitraError
from mitra.local import files, ports


def test_shipped_files_are_found_and_missing_ones_named() -> None:
    assert files.shipped("flink-conf.yaml").read_text().startswith("#")
    with pytest.raises(MitraError, match=r"path=.*nothing\.yaml"):
        files.shipped("nothing.yaml")


def test_from_a_wheel_they_lie_in_the_package_and_the_cache_is_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_PACKAGE", tmp_path / "site-packages" / "mitra")
    (tmp_path / "site-packages" / "mitra" / "shipped").mkdir(parents=True)
    (tmp_path / "site-packages" / "mitra" / "shipped" / "flink-conf.yaml").touch()
    monkeypatch.delenv("MITRA_HOME", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert files.checkout() is None
    assert files.shipped("flink-conf.yaml").parent.name == "shipped"
    assert files.home() == tmp_path / "cache" / "mitra"
    monkeypatch.setenv("MITRA_HOME", str(tmp_path / "mine"))
    assert files.home() == tmp_path / "mine"


def test_free_ports_are_different_and_free() -> None:
    found = ports.free_ports(5)
    assert len(set(found)) == 5
    assert all(ports.is_free(port) for port in found)
