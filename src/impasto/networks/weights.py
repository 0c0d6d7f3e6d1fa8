"""Weights files: downloaded once, verified, cached."""

import hashlib
import json
import os
import re
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import httpx
import platformdirs
from filelock import FileLock

from impasto.errors import ImpastoError, UsageError

Answer = TypeVar("Answer")
Download = Callable[[int, int | None], object]  # is told (bytes done, bytes in all, where known) of a file on its way

# Seconds before each further try; as many tries in a row may bring nothing new.
PATIENCE = (0.5, 1.0, 2.0, 4.0)
TIMEOUT = httpx.Timeout(30.0, connect=10.0)
# Answers that another try may better. 416 says that the server's file ends before the part that we have
# does; that part is dropped then, and the next try starts over.
PASSING_ANSWERS = {408, 416, 425, 429, 500, 502, 503, 504}
PASSING_ERRORS = (httpx.NetworkError, httpx.TimeoutException, httpx.RemoteProtocolError)


@dataclass(frozen=True)
class WeightsFile:
    """A published file of weights, and how to recognise it.

    Attributes:
        name: its name in the cache, such as ``vgg19-dcbb9e9d.pth``.
        url: where it is published.
        sha256: its digest in lower-case hex, whole or only its beginning (8 digits or more: torchvision
            writes 8 into its file names); it is compared as a prefix.
        size: its length in bytes, where known.
    """

    name: str
    url: str
    sha256: str
    size: int | None = None

    def __post_init__(self) -> None:
        if Path(self.name).name != self.name:
            raise ValueError(f"name must be a bare file name, not {self.name!r}")
        if not re.fullmatch("[0-9a-f]{8,64}", self.sha256):
            raise ValueError(f"sha256 must be 8 to 64 lower-case hex digits, not {self.sha256!r}")

    @property
    def path(self) -> Path:
        """Where it is kept, whether or not it is there."""
        return home() / "weights" / self.name


def fetch(file: WeightsFile, *, progress: Download | None = None, offline: bool | None = None) -> Path:
    """The path of the cached file, verified; it is downloaded first if it is not there.

    A cut download is continued, within this call or by the next one, be it after a kill. Of several processes
    that want one file, one downloads it and the others wait. A file that somebody saved in the cache by hand
    serves as well, if it is the right one, and is never deleted. ``IMPASTO_MIRROR=http://host/folder`` names
    a place that has every file under its `name`. Proxies are taken from the environment.

    Args:
        file: what to fetch.
        progress: called with the bytes that are there and their total (None: not known) as they come. It
            starts above 0 where a download is continued, and at 0 again where that has to start over.
        offline: True never tries the network; None asks ``IMPASTO_OFFLINE`` and ``HF_HUB_OFFLINE``.

    Raises:
        ImpastoError: it cannot be downloaded or kept, or what is there is another file.

    >>> fetch(WeightsFile("vgg19-dcbb9e9d.pth", url, "dcbb9e9d"))  # doctest: +SKIP
    PosixPath('/home/me/.cache/impasto/weights/vgg19-dcbb9e9d.pth')
    """
    path = file.path
    with _disk(file):
        if not path.exists():
            if _is_offline(offline):
                raise _not_downloaded(file, "offline")
            path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{path}.lock"):
                if not path.exists():  # else another process has brought it while this one waited
                    _download(file, progress or (lambda done, total: None))
        known = _remembered(path)
        return path if known and known.startswith(file.sha256) else verify(file)


def verify(file: WeightsFile) -> Path:
    """Hash the cached file in full, whatever is remembered of it, and return its path.

    Raises:
        ImpastoError: it is missing, cannot be read, or is another file.
    """
    path = file.path
    with _disk(file):
        if not path.exists():
            raise ImpastoError(f"there is no {path}: it comes from {file.url}")
        seen = path.stat()  # before it is hashed, so that a later change is noticed
        sha256 = sha256_of(path)
        if not sha256.startswith(file.sha256):
            raise ImpastoError(
                f"{path} is not the {file.name} of {file.url}: it has sha256 {sha256} ({seen.st_size:,} bytes), "
                f"expected {_expected(file)}; remove it to have it downloaded, or put the right file there"
            )
        _remember(path, seen, sha256)
        return path


def hub_file(repo_id: str, filename: str = "model.safetensors", *, offline: bool | None = None) -> WeightsFile:
    """Describe a file of the Hugging Face hub, such as timm's weights, by asking the hub for its digest.

    A file that is in the cache and verified is described from there and the hub is not asked: what has been
    downloaded once stays the same, whatever its repository does. ``HF_ENDPOINT`` names another hub.

    Args:
        repo_id: the repository, such as ``timm/resnet18.a1_in1k``.
        filename: the file in it.
        offline: as for `fetch`.

    Raises:
        UsageError: the hub has no such file, or none of which it publishes a sha256.
        ImpastoError: the hub cannot be asked.
    """
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repo_id, re.ASCII):
        raise UsageError(f"a repository of the hub is named like timm/resnet18.a1_in1k, not {repo_id!r}")
    hub = (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")
    url = f"{hub}/{repo_id}/resolve/main/{quote(filename)}"
    ending = ".safetensors" if filename == "model.safetensors" else f"--{filename.replace('/', '--')}"
    name = repo_id.replace("/", "--") + ending
    path = home() / "weights" / name
    if known := _remembered(path):
        return WeightsFile(name, url, known, path.stat().st_size)
    try:
        if _is_offline(offline):
            raise httpx.TransportError("offline")
        with _client() as client:
            headers = _patiently(lambda: _head(client, url))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        # The hub answers 401 for a repository that does not exist, lest it tell of private ones.
        absent = isinstance(error, httpx.HTTPStatusError) and error.response.status_code in (401, 403, 404)
        if absent:
            raise UsageError(f"{hub} has no public {filename} in {repo_id} ({_reason(error)})") from error
        raise ImpastoError(
            f"cannot ask {hub} for {filename} of {repo_id} ({_reason(error)}): "
            f"save {url} anywhere and pass --weights FILE"
        ) from error
    # Files in large-file storage carry their sha256; small ones only git's own digest, as a plain ETag.
    sha256 = headers.get("x-linked-etag", "").strip('"')
    if not re.fullmatch("[0-9a-f]{64}", sha256):
        raise UsageError(f"{url} cannot be verified: the hub publishes no sha256 of it")
    size = headers.get("x-linked-size", "")
    return WeightsFile(name, url, sha256, int(size) if size.isdecimal() else None)


def home() -> Path:
    """The folder of all that impasto keeps between runs: ``IMPASTO_HOME``, or the user's cache."""
    chosen = os.environ.get("IMPASTO_HOME")
    return Path(chosen).expanduser().absolute() if chosen else platformdirs.user_cache_path("impasto")


def sha256_of(path: Path) -> str:
    """The sha256 of a file of any length, in lower-case hex."""
    with open(path, "rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def _download(file: WeightsFile, progress: Download) -> None:
    """Bring the whole, right file under its final name, or leave nothing there."""
    part = file.path.with_name(f"{file.name}.part")
    mirror = os.environ.get("IMPASTO_MIRROR")
    url = f"{mirror.rstrip('/')}/{quote(file.name)}" if mirror else file.url
    try:
        with _client() as client:
            sha256 = _patiently(lambda: _bring(client, url, file, part, progress), lambda: _length(part))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        reason = _reason(error) + (f" at the mirror {mirror}" if mirror else "")
        raise _not_downloaded(file, reason) from error
    with part.open("r+b") as done:
        os.fsync(done.fileno())
    os.replace(part, file.path)
    _version_of(part).unlink(missing_ok=True)
    _remember(file.path, file.path.stat(), sha256)


def _bring(client: httpx.Client, url: str, file: WeightsFile, part: Path, progress: Download) -> str:
    """Complete the part with one request, and return its sha256 if that is the file's."""
    continued = _receive(client, url, file, part, progress)
    sha256, size = sha256_of(part), _length(part)
    if sha256.startswith(file.sha256):
        return sha256
    part.unlink()
    if continued:  # perhaps the pieces of two versions: it deserves a try in one piece
        raise httpx.RemoteProtocolError("the continued download is not the file that was begun")
    raise _not_downloaded(
        file,
        f"{url} is another file, removed again: sha256 {sha256} ({size:,} bytes), expected {_expected(file)}",
    )


def _receive(client: httpx.Client, url: str, file: WeightsFile, part: Path, progress: Download) -> bool:
    """Request what is missing of the part and append it; True if something was there before."""
    have = _length(part)
    if have and have == file.size:
        return True  # killed after the last byte, before it was verified
    headers = {}
    if have:
        headers["Range"] = f"bytes={have}-"
        if version := _noted_version(part):
            headers["If-Range"] = version
    with client.stream("GET", url, headers=headers) as response:
        if response.status_code == 416 and have:
            if response.headers.get("content-range") == f"bytes */{have}":
                return True
            part.unlink()
        response.raise_for_status()
        first, total = _offered(response)
        if first not in (0, have):
            raise httpx.RemoteProtocolError(f"asked for bytes from {have}, the server sends from {first}")
        if file.size is not None and total not in (None, file.size):
            # Before anything is overwritten: a hotel's login page must not cost a half-done download.
            raise _not_downloaded(file, f"{url} offers {total:,} bytes, expected {file.size:,}")
        total = total or file.size
        _require_room(file, (total or 0) - have)
        if not first:
            part.write_bytes(b"")
            _version_of(part).write_text(_version(response), "ascii", "ignore")
        done = first
        with part.open("ab") as sink:
            progress(done, total)
            for chunk in response.iter_raw():
                sink.write(chunk)
                done += len(chunk)
                progress(done, total)
        if total is not None and done < total:
            raise httpx.RemoteProtocolError(f"the server stopped at {done:,} of {total:,} bytes")
        return first > 0


def _offered(response: httpx.Response) -> tuple[int, int | None]:
    """The position of the first byte that is sent, and the length of the whole file, if told."""
    if response.status_code == 206:
        told = re.match(r"bytes (\d+)-\d+/(?:(\d+)|\*)", response.headers.get("content-range", ""))
        if not told:
            raise httpx.RemoteProtocolError("the server sends a piece and does not say which")
        return int(told[1]), int(told[2]) if told[2] else None
    length = response.headers.get("content-length")
    return 0, int(length) if length else None


def _version(response: httpx.Response) -> str:
    """What If-Range wants, to continue the same version only: a strong ETag, or else the date."""
    etag: str = response.headers.get("etag", "")
    return etag if etag.startswith('"') else response.headers.get("last-modified", "")


def _noted_version(part: Path) -> str:
    """Empty if the server tells none: the digest will judge then."""
    note = _version_of(part)
    return note.read_text("ascii", "ignore").strip() if note.exists() else ""


def _version_of(part: Path) -> Path:
    return part.with_name(f"{part.name}.version")


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _head(client: httpx.Client, url: str) -> httpx.Headers:
    """The hub's own headers, not those of the storage to which it sends us on."""
    response = client.head(url, follow_redirects=False)
    for _ in range(5):  # a repository that was renamed: a redirect within the hub, without a digest
        onward = response.next_request
        if not onward or "x-linked-etag" in response.headers or onward.url.host != response.url.host:
            break
        response = client.send(onward, follow_redirects=False)
    if not response.is_redirect:
        response.raise_for_status()
    return response.headers


def _client() -> httpx.Client:
    # "identity": the lengths and ranges must be those of the file, not of a compressed transfer.
    headers = {"User-Agent": "impasto", "Accept-Encoding": "identity"}
    try:
        return httpx.Client(follow_redirects=True, timeout=TIMEOUT, headers=headers)
    except (ImportError, ValueError, OSError) as error:  # a proxy or certificates of the environment
        raise httpx.TransportError(str(error)) from error


def _patiently(attempt: Callable[[], Answer], reached: Callable[[], int] = lambda: 0) -> Answer:
    """Try again after errors that may pass, until as many tries as `PATIENCE` have reached nothing new."""
    furthest, idle, tries = reached(), 0, 0
    while True:
        tries += 1
        try:
            return attempt()
        except httpx.HTTPError as error:
            idle = 0 if reached() > furthest else idle + 1
            furthest = max(furthest, reached())
            if isinstance(error, httpx.HTTPStatusError):
                passing = error.response.status_code in PASSING_ANSWERS
            else:
                # Who cannot be reached at first is not there, and nobody wants to wait for that.
                absent = tries == 1 and isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
                passing = isinstance(error, PASSING_ERRORS) and not absent
            if not passing or idle == len(PATIENCE):
                raise
        time.sleep(PATIENCE[idle])


def _reason(error: Exception) -> str:
    """In a few words, what kept us from the network: the innermost cause knows best."""
    if isinstance(error, httpx.HTTPStatusError):
        return f"{error.response.status_code} {error.response.reason_phrase}".strip()
    cause: BaseException | None = error
    while cause:
        if isinstance(cause, socket.gaierror):
            return "name resolution failed"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror.lower()
        cause = cause.__cause__ or cause.__context__
    return " ".join(str(error).split()) or type(error).__name__


def _not_downloaded(file: WeightsFile, reason: str) -> ImpastoError:
    return ImpastoError(
        f"cannot download {file.name} ({reason}): save {file.url} as {file.path}, or pass --weights FILE"
    )


def _expected(file: WeightsFile) -> str:
    digest = file.sha256 if len(file.sha256) == 64 else f"{file.sha256}…"
    return digest if file.size is None else f"{digest} ({file.size:,} bytes)"


@contextmanager
def _disk(file: WeightsFile) -> Iterator[None]:
    """Tell a person of a disk that is full, read-only or not there."""
    try:
        yield
    except OSError as error:
        raise ImpastoError(
            f"cannot keep {file.name} in {file.path.parent} ({(error.strerror or str(error)).lower()}): "
            "mend that, or set IMPASTO_HOME to another folder"
        ) from error


def _require_room(file: WeightsFile, needed: int) -> None:
    free = shutil.disk_usage(file.path.parent).free
    if free < needed:
        raise ImpastoError(
            f"no room for {file.name} in {file.path.parent}: {needed / 1e6:,.1f} MB needed, {free / 1e6:,.1f} "
            "free; make room, or set IMPASTO_HOME to another folder"
        )


def _is_offline(asked: bool | None) -> bool:
    if asked is not None:
        return asked
    told = (os.environ.get(name, "").lower() for name in ("IMPASTO_OFFLINE", "HF_HUB_OFFLINE"))
    return any(value in ("1", "true", "yes", "on") for value in told)


def _remember(path: Path, seen: os.stat_result, sha256: str) -> None:
    """Note beside a file what it was when hashed, so that it is not hashed at every start."""
    note = {"size": seen.st_size, "mtime_ns": seen.st_mtime_ns, "sha256": sha256}
    with suppress(OSError):  # a cache that is read-only serves too: it is hashed each time
        _note_of(path).write_text(json.dumps(note))


def _remembered(path: Path) -> str | None:
    """The sha256 that was noted, if the file has not changed since."""
    try:
        note, now = json.loads(_note_of(path).read_text()), path.stat()
        return str(note["sha256"]) if (note["size"], note["mtime_ns"]) == (now.st_size, now.st_mtime_ns) else None
    except (OSError, ValueError, KeyError, TypeError):  # none, or half-written: the file will be hashed
        return None


def _note_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.verified")
