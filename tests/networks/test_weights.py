"""Weights files, from a real local server that cuts, lies, changes its mind and is slow."""

import hashlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from impasto.errors import ImpastoError, UsageError
from impasto.networks import weights
from impasto.networks.weights import WeightsFile, fetch, hub_file, sha256_of, verify

BODY = random.Random(0).randbytes(300_000)
OTHER = random.Random(1).randbytes(300_000)
BLOCK = 10_000


class Site(ThreadingHTTPServer):
    """One file at every path, and the ways in which a server can fail."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.body = BODY
        self.etag = '"one"'
        self.ranges = True
        self.statuses: list[int] = []  # answered first, one a request
        self.cuts: list[int] = []  # bytes after which the next requests are cut
        self.announced: int | None = 0  # added to the true Content-Length; None tells no length
        self.pause = 0.0  # seconds between blocks
        self.stalls: list[float] = []  # seconds before the next requests are answered
        self.shifts: list[int] = []  # by how much the next ranges are not those that were asked for
        self.moved: dict[str, str] = {}  # path: where GET is sent on
        self.head: dict[str, dict[str, str]] = {}  # path: headers of the answer to HEAD
        self.gets: list[tuple[str, str | None]] = []  # path and Range of each GET
        self.heads: list[str] = []
        self.sent = 0

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that went away: they were killed on purpose."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Site

    def do_GET(self) -> None:
        site, wanted = self.server, self.headers["Range"]
        site.gets.append((self.path, wanted))
        if site.statuses:
            return self.answer(site.statuses.pop(0), {"Content-Length": "0"})
        if self.path in site.moved:
            return self.answer(302, {"Location": site.moved[self.path], "Content-Length": "0"})
        time.sleep(site.stalls.pop(0) if site.stalls else 0)
        first, body = 0, site.body
        assert self.headers["Accept-Encoding"] == "identity", "lengths and ranges are of the file itself"
        same = self.headers["If-Range"] in (None, site.etag)
        headers = {"ETag": site.etag} if site.etag else {}
        if wanted and site.ranges and same:
            first = int(wanted.removeprefix("bytes=").removesuffix("-"))
            first += site.shifts.pop(0) if site.shifts else 0
            if first >= len(body):
                return self.answer(416, {"Content-Range": f"bytes */{len(body)}", "Content-Length": "0"})
            headers["Content-Range"] = f"bytes {first}-{len(body) - 1}/{len(body)}"
        if site.announced is not None:
            headers["Content-Length"] = str(len(body) - first + site.announced)
        self.answer(206 if "Content-Range" in headers else 200, headers)
        end = first + site.cuts.pop(0) if site.cuts else len(body)
        for start in range(first, min(end, len(body)), BLOCK):
            block = body[start : min(start + BLOCK, end)]
            self.wfile.write(block)
            site.sent += len(block)
            time.sleep(site.pause)
        self.close_connection = end < len(body) or site.announced != 0

    def do_HEAD(self) -> None:
        self.server.heads.append(self.path)
        headers = self.server.head.get(self.path)
        status = 404 if headers is None else 302 if "Location" in headers else 200
        self.answer(self.server.statuses.pop(0) if self.server.statuses else status, headers or {})

    def answer(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("IMPASTO_OFFLINE", "HF_HUB_OFFLINE", "IMPASTO_MIRROR", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("IMPASTO_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(weights, "PATIENCE", (0.01,) * 4)


@pytest.fixture
def file(site: Site) -> WeightsFile:
    return WeightsFile("net.pth", f"{site.url}/net.pth", digest(BODY), len(BODY))


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def unsized(file: WeightsFile) -> WeightsFile:
    """As torchvision tells it: 8 digits, no length."""
    return WeightsFile(file.name, file.url, file.sha256[:8])


def place(file: WeightsFile, data: bytes, ending: str = "") -> Path:
    path = Path(f"{file.path}{ending}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def start_fetch(file: WeightsFile) -> subprocess.Popen[str]:
    code = "import sys; from impasto.networks.weights import *; print(fetch(WeightsFile(*sys.argv[1:])))"
    command = [sys.executable, "-c", code, file.name, file.url, file.sha256]
    return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


# Downloading


def test_a_file_is_downloaded_once_and_only_the_file_and_its_notes_stay(site: Site, file: WeightsFile) -> None:
    seen: list[tuple[int, int | None]] = []
    path = fetch(file, progress=lambda done, total: seen.append((done, total)))
    assert path == file.path == fetch(file) and path.read_bytes() == BODY
    assert site.gets == [("/net.pth", None)]
    assert seen[0] == (0, len(BODY)) and seen[-1] == (len(BODY), len(BODY)) and seen == sorted(seen)
    assert {p.name for p in path.parent.iterdir()} - {"net.pth.lock"} == {"net.pth", "net.pth.verified"}


def test_a_digest_prefix_without_a_length_is_enough(file: WeightsFile) -> None:
    assert fetch(unsized(file)).read_bytes() == BODY


def test_the_mirror_serves_files_by_their_name(site: Site, file: WeightsFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMPASTO_MIRROR", f"{site.url}/mirror/weights/")
    fetch(WeightsFile(file.name, "http://nowhere.invalid/x/y.pth", file.sha256))
    assert site.gets == [("/mirror/weights/net.pth", None)]


def test_a_connection_cut_again_and_again_is_continued_each_time(site: Site, file: WeightsFile) -> None:
    site.cuts = [50_000, 1_000, 0, 70_000, 0, 0, 30_000]
    starts: list[int] = []
    fetch(file, progress=lambda done, total: starts.append(done))
    assert site.sent == len(BODY)
    assert [wanted for _, wanted in site.gets if wanted][:2] == ["bytes=50000-", "bytes=51000-"]
    assert starts == sorted(starts), "nothing started over"


def test_a_cut_is_noticed_where_the_server_tells_no_length(site: Site, file: WeightsFile) -> None:
    site.announced, site.ranges, site.cuts = None, False, [50_000]
    assert fetch(file).read_bytes() == BODY
    assert len(site.gets) == 2


def test_a_server_that_only_cuts_is_given_up_and_what_came_is_kept(site: Site, file: WeightsFile) -> None:
    site.cuts = [50_000, *[0] * 50]
    with pytest.raises(ImpastoError, match=r"cannot download net\.pth \(.*save http.* as /.*--weights FILE"):
        fetch(file)
    assert len(site.gets) == 1 + len(weights.PATIENCE)
    assert not file.path.exists()
    site.cuts = []
    fetch(file)
    assert site.sent == len(BODY)


def test_a_server_that_ignores_ranges_starts_over(site: Site, file: WeightsFile) -> None:
    site.ranges, site.cuts = False, [50_000]
    seen: list[int] = []
    assert fetch(file, progress=lambda done, total: seen.append(done)).read_bytes() == BODY
    assert seen.count(0) == 2 and site.sent == len(BODY) + 50_000


def test_a_server_that_ignores_ranges_and_always_cuts_is_given_up(site: Site, file: WeightsFile) -> None:
    site.ranges, site.cuts = False, [50_000] * 50
    with pytest.raises(ImpastoError, match="cannot download"):
        fetch(file)
    assert len(site.gets) == 1 + len(weights.PATIENCE)


def test_a_piece_that_was_not_asked_for_is_not_appended(site: Site, file: WeightsFile) -> None:
    site.cuts, site.shifts = [50_000], [10_000]
    assert fetch(file).read_bytes() == BODY
    assert [wanted for _, wanted in site.gets] == [None, "bytes=50000-", "bytes=50000-"]


def test_a_file_that_changes_between_two_tries_is_taken_whole(site: Site, file: WeightsFile) -> None:
    site.body, site.cuts = OTHER, [50_000]

    def publish(done: int, total: int | None) -> None:
        if done == 50_000:
            site.body, site.etag = BODY, '"two"'

    assert fetch(file, progress=publish).read_bytes() == BODY
    assert site.gets == [("/net.pth", None), ("/net.pth", "bytes=50000-")], "If-Range noticed"


def test_without_versions_the_digest_notices_a_mixture_and_starts_over(site: Site, file: WeightsFile) -> None:
    site.etag = ""
    place(file, OTHER[:50_000], ".part")
    assert fetch(file).read_bytes() == BODY
    assert [wanted for _, wanted in site.gets] == ["bytes=50000-", None]


def test_a_mirror_with_another_version_does_not_continue_this_one(site: Site, file: WeightsFile) -> None:
    place(file, OTHER[:50_000], ".part")
    place(file, b'"zero"', ".part.version")
    assert fetch(file).read_bytes() == BODY
    assert len(site.gets) == 1


@pytest.mark.parametrize("known_size", [True, False])
def test_a_part_that_is_whole_is_not_downloaded_again(site: Site, file: WeightsFile, known_size: bool) -> None:
    place(file, BODY, ".part")
    assert fetch(file if known_size else unsized(file)).read_bytes() == BODY
    assert site.sent == 0 and len(site.gets) == (0 if known_size else 1)


def test_a_part_longer_than_the_file_is_dropped(site: Site, file: WeightsFile) -> None:
    place(file, BODY + b"more", ".part")
    assert fetch(file).read_bytes() == BODY
    assert [wanted for _, wanted in site.gets] == ["bytes=300004-", None]


def test_a_busy_server_is_asked_again(site: Site, file: WeightsFile) -> None:
    site.statuses = [503, 429, 502]
    assert fetch(file).read_bytes() == BODY


def test_a_server_that_stalls_is_asked_again(site: Site, file: WeightsFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "TIMEOUT", 0.1)
    site.stalls = [0.3]
    assert fetch(file).read_bytes() == BODY
    assert len(site.gets) == 2


@pytest.mark.parametrize(("statuses", "asked", "reason"), [([404], 1, "404 Not Found"), ([503] * 9, 4, "503")])
def test_a_server_that_refuses_is_reported(
    site: Site, file: WeightsFile, statuses: list[int], asked: int, reason: str
) -> None:
    site.statuses = statuses
    with pytest.raises(ImpastoError, match=reason) as caught:
        fetch(file)
    assert len(site.gets) == asked and "\n" not in str(caught.value)


# Lies


@pytest.mark.parametrize("announced", [-1000, 1000])
def test_a_length_that_is_not_the_files_is_refused_before_a_byte_is_kept(
    site: Site, file: WeightsFile, announced: int
) -> None:
    site.announced = announced
    part = place(file, BODY[:50_000], ".part")
    place(file, b'"zero"', ".part.version")
    with pytest.raises(ImpastoError, match=f"offers {300_000 + announced:,} bytes, expected 300,000"):
        fetch(file)
    assert part.read_bytes() == BODY[:50_000], "kept for later"
    assert not file.path.exists()


def test_a_length_too_long_is_seen_through_where_the_true_one_is_unknown(site: Site, file: WeightsFile) -> None:
    site.announced = 1000
    assert fetch(unsized(file)).read_bytes() == BODY


def test_a_length_too_short_is_never_taken_for_the_file(site: Site, file: WeightsFile) -> None:
    site.announced = -1000
    with pytest.raises(ImpastoError, match="another file, removed again"):
        fetch(unsized(file))
    assert not file.path.exists()


def test_a_wrong_file_is_removed_and_reported(site: Site, file: WeightsFile) -> None:
    site.body = OTHER
    with pytest.raises(ImpastoError) as caught:
        fetch(file)
    for said in (digest(OTHER), digest(BODY), file.url, str(file.path)):
        assert said in str(caught.value)
    assert [p.name for p in file.path.parent.iterdir() if p.name in ("net.pth", "net.pth.part")] == []
    assert len(site.gets) == 1


# No network


def test_offline_nothing_is_asked_and_the_mend_is_said(
    site: Site, file: WeightsFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ImpastoError) as caught:
        fetch(file, offline=True)
    assert str(caught.value) == (
        f"cannot download net.pth (offline): save {file.url} as {file.path}, or pass --weights FILE"
    )
    for name in ("IMPASTO_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.setenv(name, "1")
        with pytest.raises(ImpastoError, match="offline"):
            fetch(file)
        monkeypatch.delenv(name)
    assert site.gets == []
    fetch(file)
    assert fetch(file, offline=True) == file.path


@pytest.mark.parametrize(
    ("url", "reason"),
    [("http://nowhere.invalid/net.pth", "name resolution failed"), ("nonsense://x/net.pth", "protocol")],
)
def test_an_address_that_leads_nowhere_is_reported(file: WeightsFile, url: str, reason: str) -> None:
    with pytest.raises(ImpastoError, match=reason):
        fetch(WeightsFile(file.name, url, file.sha256))


def test_a_host_that_is_not_there_is_not_waited_for(file: WeightsFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "PATIENCE", (60.0,) * 4)
    with socket.socket() as unheard:  # bound, but not listening
        unheard.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unheard.getsockname()[1]}/net.pth"
        with pytest.raises(ImpastoError, match="connection refused"):
            fetch(WeightsFile(file.name, url, file.sha256))


def test_proxies_of_the_environment_are_used_and_a_bad_one_is_named(
    site: Site, file: WeightsFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = WeightsFile(file.name, "http://nowhere.invalid/net.pth", file.sha256)
    monkeypatch.setenv("HTTP_PROXY", "gopher://127.0.0.1:1")
    with pytest.raises(ImpastoError, match="gopher"):
        fetch(away)
    monkeypatch.setenv("HTTP_PROXY", site.url)
    assert fetch(away).read_bytes() == BODY
    assert site.gets == [("http://nowhere.invalid/net.pth", None)]


# What is there already


def test_the_right_file_saved_by_hand_is_accepted(site: Site, file: WeightsFile) -> None:
    place(file, BODY)
    assert fetch(file, offline=True) == file.path
    assert site.gets == []


def test_a_wrong_file_saved_by_hand_is_refused_and_left_alone(site: Site, file: WeightsFile) -> None:
    path = place(file, OTHER)
    with pytest.raises(ImpastoError, match=f"net.pth is not the net.pth of .*{digest(OTHER)}.*{digest(BODY)}"):
        fetch(file)
    assert path.read_bytes() == OTHER and site.gets == []


def test_a_verified_file_is_not_hashed_again_until_it_changes(
    file: WeightsFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[Path] = []
    monkeypatch.setattr(weights, "sha256_of", lambda path: hashed.append(path) or sha256_of(path))
    path = place(file, BODY)
    fetch(file), fetch(file), fetch(unsized(file))
    assert len(hashed) == 1
    os.utime(path, ns=(1, 1))
    fetch(file)
    assert len(hashed) == 2
    path.write_bytes(OTHER)
    with pytest.raises(ImpastoError, match="is not the"):
        fetch(file)


@pytest.mark.parametrize("note", [b"", b"{", b"[]", b'{"size": 1}', b"\xff\xfe", b"null"])
def test_a_spoilt_note_only_costs_a_hashing(file: WeightsFile, note: bytes) -> None:
    place(file, BODY)
    place(file, note, ".verified")
    assert fetch(file, offline=True) == file.path


def test_a_note_for_other_weights_of_this_name_does_not_count(file: WeightsFile) -> None:
    place(file, OTHER)
    fetch(WeightsFile(file.name, file.url, digest(OTHER)), offline=True)
    with pytest.raises(ImpastoError, match="is not the"):
        fetch(file, offline=True)


def test_verify_hashes_whatever_is_remembered(file: WeightsFile) -> None:
    with pytest.raises(ImpastoError, match=r"there is no /.*net\.pth"):
        verify(file)
    path = fetch(file)
    assert verify(file) == path
    times = path.stat()
    path.write_bytes(BODY[:-1] + b"?")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # a rotten bit leaves no trace
    with pytest.raises(ImpastoError, match="is not the"):
        verify(file)


# The disk


def test_a_home_that_cannot_be_written_is_reported(
    file: WeightsFile, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "plain").write_text("")
    monkeypatch.setenv("IMPASTO_HOME", str(tmp_path / "plain" / "home"))
    with pytest.raises(ImpastoError, match="not a directory.*IMPASTO_HOME"):
        fetch(file)


def test_a_cache_where_nothing_can_be_noted_still_serves(file: WeightsFile) -> None:
    path = place(file, BODY)
    path.with_name("net.pth.verified").mkdir()  # stands for a read-only cache, which root could write
    assert fetch(file) == fetch(file) == path


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a device that is always full")
def test_a_disk_that_fills_up_is_reported(file: WeightsFile) -> None:
    file.path.parent.mkdir(parents=True)
    file.path.with_name("net.pth.part").symlink_to("/dev/full")
    with pytest.raises(ImpastoError, match="no space left on device.*IMPASTO_HOME"):
        fetch(file)
    assert not file.path.exists()


def test_room_is_looked_for_before_a_byte_is_written(file: WeightsFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights.shutil, "disk_usage", lambda path: SimpleNamespace(free=100_000))
    with pytest.raises(ImpastoError, match=r"no room for net\.pth .* 0\.3 MB needed, 0\.1 free"):
        fetch(file)
    assert not file.path.with_name("net.pth.part").exists()
    place(file, BODY[:250_000], ".part")
    assert fetch(file).read_bytes() == BODY, "what is missing fits"


# Processes


def test_of_two_processes_one_downloads_and_both_have_it(site: Site, file: WeightsFile) -> None:
    site.pause = 0.02
    processes = [start_fetch(file), start_fetch(file)]
    for process in processes:
        out, err = process.communicate(timeout=20)
        assert (out.strip(), process.returncode) == (str(file.path), 0), err
    assert len(site.gets) == 1


def test_a_killed_download_is_continued_by_the_next_process(
    site: Site, file: WeightsFile, wait_until: Callable[..., None]
) -> None:
    site.pause = 0.05
    process = start_fetch(file)
    part = file.path.with_name("net.pth.part")
    wait_until(lambda: part.exists() and part.stat().st_size > 50_000)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    have = part.stat().st_size
    assert not file.path.exists() and BODY.startswith(part.read_bytes())
    site.pause = 0
    assert fetch(file).read_bytes() == BODY
    assert site.gets == [("/net.pth", None), ("/net.pth", f"bytes={have}-")]


# The hub


REPO = "timm/resnet18.a1_in1k"
RESOLVE = f"/{REPO}/resolve/main/model.safetensors"


@pytest.fixture
def hub(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setenv("HF_ENDPOINT", site.url)
    site.head[RESOLVE] = {
        "Location": "/cdn/blob",
        "X-Linked-ETag": f'"{digest(BODY)}"',
        "X-Linked-Size": str(len(BODY)),
    }
    return site


def test_the_hub_tells_the_digest_and_the_file_comes_and_stays(hub: Site) -> None:
    file = hub_file(REPO)
    expected = ("timm--resnet18.a1_in1k.safetensors", f"{hub.url}{RESOLVE}", digest(BODY), len(BODY))
    assert file == WeightsFile(*expected)
    with pytest.raises(ImpastoError, match="offline"):
        hub_file(REPO, offline=True)
    fetch(file)
    hub.head.clear()
    assert hub_file(REPO, offline=True) == hub_file(REPO) == file
    assert hub.heads == [RESOLVE], "what is cached is not asked for again"


def test_a_download_from_the_hub_is_continued_at_the_storage_behind_it(hub: Site) -> None:
    hub.moved[RESOLVE], hub.cuts = "/cdn/blob", [50_000]
    assert fetch(hub_file(REPO)).read_bytes() == BODY
    assert hub.gets[1::2] == [("/cdn/blob", None), ("/cdn/blob", "bytes=50000-")]


def test_other_files_of_a_repository_have_names_of_their_own(hub: Site) -> None:
    hub.head[f"/{REPO}/resolve/main/onnx/model.onnx"] = hub.head[RESOLVE]
    assert hub_file(REPO, "onnx/model.onnx").name == "timm--resnet18.a1_in1k--onnx--model.onnx"


def test_a_renamed_repository_is_followed_within_the_hub(hub: Site) -> None:
    hub.head["/timm/old/resolve/main/model.safetensors"] = {"Location": RESOLVE}
    assert hub_file("timm/old").sha256 == digest(BODY)


def test_a_busy_hub_is_asked_again(hub: Site) -> None:
    hub.statuses = [503, 429]
    assert hub_file(REPO).sha256 == digest(BODY)


@pytest.mark.parametrize(
    ("repo_id", "said"),
    [
        ("timm/none", r"has no public model.safetensors in timm/none \(404 Not Found\)"),
        ("timm/small", "no sha256"),
        ("resnet18", "is named like"),
        ("../..", "has no public|is named like"),
    ],
)
def test_what_the_hub_does_not_have_is_a_mistake_of_the_asker(hub: Site, repo_id: str, said: str) -> None:
    hub.head["/timm/small/resolve/main/model.safetensors"] = {"ETag": '"' + "0" * 40 + '"'}
    with pytest.raises(UsageError, match=said):
        hub_file(repo_id)


def test_a_hub_that_cannot_be_reached_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://nowhere.invalid/")
    with pytest.raises(ImpastoError, match="cannot ask http://nowhere.invalid .*name resolution.*--weights FILE"):
        hub_file(REPO)


# Small things


def test_home_is_the_users_cache_unless_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert weights.home() == tmp_path / "home"
    monkeypatch.delenv("IMPASTO_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if sys.platform == "linux":
        assert weights.home() == tmp_path / "impasto"


@pytest.mark.parametrize(("name", "sha256"), [("../net.pth", "0" * 8), ("net.pth", "0" * 7), ("net.pth", "Z" * 64)])
def test_a_description_that_cannot_be_right_is_refused(name: str, sha256: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        WeightsFile(name, "http://x", sha256)


def test_sha256_of_is_that_of_the_standard(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")  # FIPS 180-2, appendix B.1
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256_of(tmp_path / "abc") == expected


def test_torch_is_not_imported() -> None:
    code = "import sys, json, impasto.networks.weights; print(json.dumps('torch' in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) is False
