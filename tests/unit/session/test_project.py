"""The project directory, while other processes work in it."""

from __future__ import annotations

from pathlib import Path

from mlmagic.session.project import folder_bytes


def test_the_size_counts_files_at_any_depth(tmp_path):
    (tmp_path / "journal").mkdir()
    (tmp_path / "lineage.duckdb").write_bytes(b"12345")
    (tmp_path / "journal" / "a.jsonl").write_bytes(b"123")
    assert folder_bytes(tmp_path) == 8


def test_a_file_that_goes_away_meanwhile_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "stays").write_bytes(b"12345")
    listed = [*tmp_path.iterdir(), tmp_path / "lineage.duckdb.wal"]
    monkeypatch.setattr(Path, "rglob", lambda self, pattern: iter(listed))
    assert folder_bytes(tmp_path) == 5
