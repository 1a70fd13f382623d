"""A bundle's folder: whole or not at all, opened only as listed, and tampering is named."""

from __future__ import annotations

import json
import os
import threading

import pytest

from mlmagic.bundles import folder
from mlmagic.bundles.folder import checked_name, open_bundle, versions_in, write_bundle
from mlmagic.errors import MisuseError

KEY, OTHER = b"k" * 32, b"o" * 32
FILES = {"model.onnx": b"graph", "schema.json": b"{}", "README.md": b"# churn\n"}


def made(home, files=FILES, key=KEY, name="churn"):
    return write_bundle(home, name, files, {"bundle_id": "b-1"}, key)


def rewritten(bundle, **changes):
    """The manifest with other values, unsigned."""
    place = bundle.path / "bundle.json"
    place.write_text(json.dumps({**json.loads(place.read_text()), **changes}))
    return bundle.path


def test_what_was_written_is_read_back(tmp_path):
    bundle = made(tmp_path)
    found = open_bundle(bundle.path, KEY)
    assert (found.name, found.version, found.bundle_id) == ("churn", bundle.version, "b-1")
    assert {file: found.read(file) for file in FILES} == FILES
    found.check()


def test_a_name_stands_for_its_newest_version(tmp_path):
    first = made(tmp_path)
    second = made(tmp_path, {**FILES, "model.onnx": b"another graph"})
    for seconds, bundle in ((100, first), (200, second)):
        os.utime(bundle.path / "bundle.json", (seconds, seconds))
    assert open_bundle(tmp_path / "churn").version == second.version


def test_the_version_follows_what_answers_and_nothing_else(tmp_path):
    first = made(tmp_path)
    assert made(tmp_path, {**FILES, "README.md": b"other words"}).version == first.version
    assert made(tmp_path, {**FILES, "holdout.jsonl": b"{}\n"}).version != first.version


def test_the_same_version_again_takes_the_place_of_the_old(tmp_path):
    made(tmp_path)
    again = made(tmp_path, {**FILES, "README.md": b"newer"})
    assert [path.name for path in (tmp_path / "churn").iterdir()] == [again.version]
    assert open_bundle(again.path).read("README.md") == b"newer"


def test_while_it_does_it_is_never_missing(tmp_path):
    made(tmp_path)
    writers = [
        threading.Thread(target=lambda: [made(tmp_path, {**FILES, "README.md": b"%d" % i}) for i in range(30)])
        for _ in range(2)
    ]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert open_bundle(tmp_path / "churn").read("model.onnx") == b"graph"
    assert len(list((tmp_path / "churn").iterdir())) == 1


def test_what_a_killed_export_left_is_no_version_and_goes_in_the_end(tmp_path):
    left = tmp_path / "churn" / ".partial-1"
    left.mkdir(parents=True)
    (left / "bundle.json").write_text("{}")
    bundle = made(tmp_path)
    assert versions_in(tmp_path / "churn") == [bundle.path]
    assert left.is_dir()  # it may be another kernel's, under way
    os.utime(left, (0, 0))
    made(tmp_path)
    assert not left.exists()


def test_what_fails_halfway_leaves_nothing(tmp_path):
    (tmp_path / "churn").mkdir()
    with pytest.raises(FileNotFoundError):
        made(tmp_path, {**FILES, "inner/file": b"its folder is not there"})
    assert list((tmp_path / "churn").iterdir()) == []


@pytest.mark.parametrize("file", FILES)
def test_one_changed_byte_is_refused_by_the_name_of_its_file(tmp_path, file):
    bundle = made(tmp_path)
    content = bytearray((bundle.path / file).read_bytes())
    content[0] ^= 1
    (bundle.path / file).write_bytes(content)
    found = open_bundle(bundle.path, KEY)
    with pytest.raises(MisuseError, match=f"{file} is not the file that was exported"):
        found.read(file)
    with pytest.raises(MisuseError, match=file):
        found.check()
    for other in FILES.keys() - {file}:
        assert found.read(other) == FILES[other]


def test_a_changed_manifest_is_no_longer_signed(tmp_path):
    bundle = made(tmp_path)
    assert open_bundle(bundle.path, KEY).signed
    assert not open_bundle(rewritten(bundle, bundle_id="b-2"), KEY).signed


def test_only_the_own_key_counts_as_signed(tmp_path):
    bundle = made(tmp_path)
    assert not open_bundle(bundle.path, OTHER).signed
    assert not open_bundle(bundle.path).signed
    assert not open_bundle(made(tmp_path, key=None, name="bare").path, KEY).signed


def test_a_signature_without_end_is_none(tmp_path):
    bundle = made(tmp_path)
    signature = (bundle.path / "signature").read_text()
    (bundle.path / "signature").write_text(signature + "x" * 5_000)
    assert not open_bundle(bundle.path, KEY).signed


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes among files here")
def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(tmp_path):
    bundle = made(tmp_path)
    (bundle.path / "model.onnx").unlink()
    os.mkfifo(bundle.path / "model.onnx")
    with pytest.raises(MisuseError, match=r"model\.onnx is no file"):
        bundle.read("model.onnx")


def test_text_that_would_fill_the_memory_is_not_read(tmp_path):
    bundle = made(tmp_path)
    os.truncate(bundle.path / "schema.json", 1 << 30)  # a file of holes
    with pytest.raises(MisuseError, match=r"schema\.json is larger than 256 MB"):
        bundle.json("schema.json")


def test_a_missing_file_is_named(tmp_path):
    bundle = made(tmp_path)
    (bundle.path / "README.md").unlink()
    with pytest.raises(MisuseError, match=r"README\.md cannot be read"):
        bundle.read("README.md")


def test_a_file_that_is_not_listed_is_never_opened(tmp_path):
    bundle = made(tmp_path)
    (bundle.path / "assertions.json").write_text("[]")
    found = open_bundle(bundle.path, KEY)
    assert not found.has("assertions.json")
    with pytest.raises(MisuseError, match=r"has no assertions\.json"):
        found.read("assertions.json")
    found.check()


@pytest.mark.parametrize("name", ["../../secret", "/etc/passwd", "a/b", "..", ".hidden", "a\\b", "", "x" * 65])
def test_a_manifest_that_lists_paths_is_refused(tmp_path, name):
    bundle = made(tmp_path)
    files = {**bundle.manifest["files"], name: {"sha256": "0" * 64, "nbytes": 0}}
    with pytest.raises(MisuseError, match=r"bundle\.json is damaged"):
        open_bundle(rewritten(bundle, files=files))


@pytest.mark.parametrize("name", ["../churn", "a/b", "a..b", "-x", "", "x" * 65, "a b", "ä"])
def test_a_name_that_cannot_stand_in_a_path_is_refused(tmp_path, name):
    with pytest.raises(MisuseError, match="a bundle's name is letters"):
        checked_name(name)
    with pytest.raises(MisuseError, match="a bundle's name is letters"):
        made(tmp_path, name=name)
    with pytest.raises(MisuseError, match="a bundle's name is letters"):
        open_bundle(rewritten(made(tmp_path), name=name))


def test_a_newer_format_says_so(tmp_path):
    with pytest.raises(MisuseError, match="written by a newer mlmagic: update mlmagic"):
        open_bundle(rewritten(made(tmp_path), format_version=folder.VERSION + 1))


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"format": "another"}', "[" * 100_000])
def test_a_manifest_that_is_none_is_damaged(tmp_path, text):
    bundle = made(tmp_path)
    (bundle.path / "bundle.json").write_text(text)
    with pytest.raises(MisuseError, match="damaged"):
        open_bundle(bundle.path)


@pytest.mark.parametrize("lacking", ["model.onnx", "schema.json"])
def test_a_bundle_without_a_model_or_schema_is_none(tmp_path, lacking):
    files = {name: content for name, content in FILES.items() if name != lacking}
    with pytest.raises(MisuseError, match=r"lists no model\.onnx or schema\.json"):
        open_bundle(made(tmp_path, files).path)


def test_a_folder_without_a_bundle_says_so(tmp_path):
    with pytest.raises(MisuseError, match="holds no bundle"):
        open_bundle(tmp_path)
    with pytest.raises(MisuseError, match="is no folder of a bundle"):
        open_bundle(tmp_path / "nowhere")
