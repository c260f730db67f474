"""Programs published where everyone can read them."""

from __future__ import annotations

import stat
import subprocess
import threading
import zipfile
from pathlib import Path

import pytest
from jgo.config import GlobalSettings

from embedded import DataUnreachable, account, jars, places
from embedded.runtime import publish


@pytest.fixture
def base(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOLDFAST_BASE", str(place / "base"))
    return place / "base"


@pytest.fixture
def program(place: Path) -> Path:
    root = place / "wheel"
    (root / "bin").mkdir(parents=True)
    (root / "bin" / "run").write_text("#!/bin/sh\necho it runs\n")
    (root / "bin" / "run").chmod(0o700)
    (root / "notes").write_text("for the owner alone")
    (root / "notes").chmod(0o600)
    (root / "include").mkdir()
    (root / "include" / "run.h").write_text("")
    root.chmod(0o700)
    return root


def test_everyone_can_run_what_only_the_owner_could(base: Path, program: Path) -> None:
    who = account.choose()
    published = publish("wheel", {"tools": program}, who, leave_out=["tools/include"])
    assert sorted(str(p.relative_to(published)) for p in published.rglob("*") if p.is_file()) == [
        "tools/bin/run",
        "tools/notes",
    ]
    assert stat.S_IMODE((published / "tools" / "bin" / "run").stat().st_mode) & 0o555 == 0o555
    assert stat.S_IMODE((program / "bin" / "run").stat().st_mode) == 0o700
    out = subprocess.run([published / "tools" / "bin" / "run"], capture_output=True, **who.popen_arguments())
    assert out.stdout == b"it runs\n"


def test_the_same_content_is_published_once_also_at_the_same_time(base: Path, program: Path) -> None:
    results: list[Path] = []
    threads = [
        threading.Thread(target=lambda: results.append(publish("wheel", {"": program}, account.choose())))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(results)) == 1
    assert len(results) == 6
    assert [p.name for p in (base / "runtime").iterdir() if p.name != ".lock"] == [results[0].name]


def test_what_a_cleaner_removed_is_published_again(base: Path, program: Path) -> None:
    published = publish("wheel", {"": program}, account.choose())
    (published / "notes").unlink()
    assert publish("wheel", {"": program}, account.choose()) == published
    assert (published / "notes").exists()


def test_a_base_that_others_may_write_to_is_refused(base: Path) -> None:
    base.mkdir()
    base.chmod(0o777)
    with pytest.raises(DataUnreachable, match="other users may write"):
        places.base(account.choose())


def test_a_data_directory_that_cannot_be_made_is_named(place: Path) -> None:
    (place / "file").write_text("")
    with pytest.raises(DataUnreachable, match="file"):
        places.claim(place / "file" / "cluster", account.choose())


def test_a_link_to_data_that_is_gone_is_named(place: Path) -> None:
    (place / "cluster").symlink_to(place / "gone")
    with pytest.raises(DataUnreachable, match="which is gone"):
        places.claim(place / "cluster", account.choose())


def test_a_shortened_jar_is_replaced(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = jars.resolve(account.choose())
    assert len(whole) > 40
    assert len({jar.name for jar in whole}) == len(whole)

    # Caches of the test's own, linked to the real ones.
    subprocess.run(["cp", "-al", GlobalSettings.load().repo_cache, place / "m2"], check=True)
    monkeypatch.setenv("M2_REPO", str(place / "m2"))
    monkeypatch.setenv("JGO_CACHE_DIR", str(place / "jgo"))
    victim = next(jar for jar in jars.resolve(account.choose()) if jar.name.startswith("zstd"))
    assert victim.is_relative_to(place)
    content = victim.read_bytes()
    victim.unlink()
    victim.write_bytes(content[: len(content) // 2])
    again = jars.resolve(account.choose())
    assert all(zipfile.is_zipfile(jar) for jar in again)
    assert victim.read_bytes() == content

    # Killed while the folder was being filled: some jars, and not yet the lock file.
    for lock in (place / "jgo").rglob("jgo.lock.toml"):
        lock.unlink()
    victim.unlink()
    assert [jar.name for jar in jars.resolve(account.choose())] == [jar.name for jar in whole]


def test_what_a_killed_download_left_is_told_from_what_is_whole(tmp_path: Path) -> None:
    (tmp_path / "org").mkdir()
    with zipfile.ZipFile(tmp_path / "org" / "whole.jar", "w") as jar:
        jar.writestr("entry", "text")
    whole = (tmp_path / "org" / "whole.jar").read_bytes()
    (tmp_path / "org" / "short.jar").write_bytes(whole[:-10])
    (tmp_path / "org" / "whole.pom").write_text("<project><name>x</name></project>")
    (tmp_path / "org" / "short.pom").write_text("<project><name>x</na")
    jars._sweep(tmp_path)
    assert sorted(path.name for path in (tmp_path / "org").iterdir()) == ["whole.jar", "whole.pom"]
