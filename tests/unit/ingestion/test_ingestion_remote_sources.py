"""Sources elsewhere: in buckets and behind web servers, with and without credentials, whole and broken off."""

import gzip
import http.client
import ipaddress
import json
import os
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.request import Request, urlopen

import pytest
import s3fs

from data_contracts.errors import InputError
from tasks.ingestion import fetching
from tasks.ingestion.sources import JsonLines, Source

RowsAt = Callable[[Source], list[dict[str, Any]]]

LINES = b"".join(b'{"a": %d}\n' % n for n in range(1000))
ROWS = [{"a": n} for n in range(1000)]


class Weak(ThreadingHTTPServer):
    """Hands requests on to another server, and breaks off that many times half-way through a file."""

    def __init__(self, upstream: str) -> None:
        super().__init__(("127.0.0.1", 0), WeakHandler)
        self.upstream = upstream.removeprefix("http://")
        self.breaks = 0
        self.announces_less = False
        self.address = f"http://127.0.0.1:{self.server_address[1]}"


class WeakHandler(BaseHTTPRequestHandler):
    """One request to Weak."""

    server: Weak

    def do_GET(self) -> None:
        status, headers, body = self.answer()
        is_file = status in (200, 206) and self.path.partition("?")[0].endswith(".jsonl")
        weak = is_file and self.command == "GET" and self.server.breaks > 0
        self.server.breaks -= weak
        sent = body[: len(body) // 2] if weak else body
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, str(len(sent)) if weak and self.server.announces_less else value)
        self.end_headers()
        self.wfile.write(sent)

    do_HEAD = do_GET  # noqa: N815

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self.server.upstream)
        given = {name: value for name, value in self.headers.items() if name.lower() != "host"}
        connection.request(self.command, self.path, headers=given)
        answer = connection.getresponse()
        body = answer.read()
        length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(body))
        return answer.status, {"Content-Length": length or "0"}, body

    def log_message(self, *_: Any) -> None:
        """Says nothing: a request is no result of a test."""


@pytest.fixture
def weak(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Weak]:
    """A server in front of the object store that can break off; nobody waits long before the next try."""
    server = Weak(s3_server)
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(fetching, "PAUSES_SECONDS", (0.01, 0.01))
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 2)
    yield server
    server.shutdown()
    server.server_close()


def put(bucket: str, key: str, content: bytes) -> None:
    import boto3

    boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=content, ACL="public-read")


def test_an_object_of_a_bucket_is_read_over_http(s3_bucket: str, rows_at: RowsAt) -> None:
    put(s3_bucket, "in/rows.jsonl.gz", gzip.compress(LINES))
    assert rows_at(JsonLines(path=f"s3://{s3_bucket}/in/rows.jsonl.gz")) == ROWS


def test_shards_of_a_bucket_are_read_in_the_order_of_their_names(s3_bucket: str, rows_at: RowsAt) -> None:
    for n, name in enumerate(("in/b.jsonl", "in/a.jsonl", "in/deep/c.jsonl", "in/d.csv")):
        put(s3_bucket, name, b'{"a": %d}\n' % n)
    source = JsonLines(path=f"s3://{s3_bucket}/in/*.jsonl")
    assert source.shards() == [f"s3://{s3_bucket}/in/a.jsonl", f"s3://{s3_bucket}/in/b.jsonl"]
    assert rows_at(source) == [{"a": 1}, {"a": 0}]
    assert rows_at(JsonLines(path=f"s3://{s3_bucket}/**/*.jsonl")) == [{"a": 1}, {"a": 0}, {"a": 2}]


def test_shards_that_arrive_between_two_listings_are_found(s3_bucket: str) -> None:
    source = JsonLines(path=f"s3://{s3_bucket}/*.jsonl")
    for count, name in enumerate(("a.jsonl", "b.jsonl"), start=1):
        put(s3_bucket, name, LINES)
        assert len(source.shards()) == count


def refusals(source: JsonLines, folder: Path) -> list[str]:
    """What is said when its shards are looked for and when it is read; nothing is left behind."""
    folder.mkdir(exist_ok=True)
    said = []
    with pytest.raises(InputError) as error:
        source.shards()
    said.append(str(error.value))
    with pytest.raises(InputError) as error:
        source.local_copy(folder).__enter__()
    assert list(folder.iterdir()) == []
    return [*said, str(error.value)]


def test_a_bucket_or_object_that_does_not_exist_is_named(s3_bucket: str, tmp_path: Path) -> None:
    put(s3_bucket, "folder/a.jsonl", LINES)
    for path, said in (
        (f"s3://{s3_bucket}/rows.jsonl", "does not exist. Correct the path"),
        ("s3://no-such-bucket/rows.jsonl", "does not exist (its bucket neither). Correct the path"),
        (f"s3://{s3_bucket}/folder", "is a folder, not a file of rows."),
    ):
        assert all(message.startswith(f"{path} {said}") for message in refusals(JsonLines(path=path), tmp_path / "to"))
    with pytest.raises(InputError, match=r"^nothing in s3://.*/folder matches s3://.*/folder/\*\.csv"):
        JsonLines(path=f"s3://{s3_bucket}/folder/*.csv").shards()
    with pytest.raises(InputError, match=r"^s3://no-such-bucket does not exist \(its bucket neither\)"):
        JsonLines(path="s3://no-such-bucket/*.csv").shards()


def test_missing_credentials_are_said_to_be_missing(
    s3_bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    s3fs.S3FileSystem.clear_instance_cache()
    for name in ("rows.jsonl", "*.jsonl"):
        for message in refusals(JsonLines(path=f"s3://{s3_bucket}/{name}"), tmp_path / "to"):
            assert f"{name} cannot be read: NoCredentialsError: Unable to locate credentials. Check address" in message


def test_credentials_that_the_bucket_refuses_are_said_to_be_refused(
    s3_server: str, s3_bucket: str, tmp_path: Path
) -> None:
    put(s3_bucket, "rows.jsonl", LINES)
    # The server asks for credentials from the next request on; it knows nobody.
    ask_for_credentials_after(b"0", s3_server)
    try:
        for name in ("rows.jsonl", "*.jsonl"):
            for message in refusals(JsonLines(path=f"s3://{s3_bucket}/{name}"), tmp_path / "to"):
                assert f"{name} may not be read: " in message
                assert message.endswith(". Check its permissions or the credentials.")
    finally:
        ask_for_credentials_after(b"inf", s3_server)


def ask_for_credentials_after(requests: bytes, server: str) -> None:
    """Moto's own switch, https://docs.getmoto.org/en/latest/docs/iam.html"""
    address, headers = f"{server}/moto-api/reset-auth", {"Content-Type": "text/plain"}
    with urlopen(Request(address, data=requests, headers=headers, method="POST")):
        pass


@pytest.mark.parametrize("announces_less", [False, True], ids=["broken off", "shorter than its size"])
@pytest.mark.parametrize("kind", ["bucket", "web"])
def test_a_download_that_breaks_off_is_tried_again_and_never_shorter(
    kind: str, announces_less: bool, s3_bucket: str, weak: Weak, rows_at: RowsAt, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(s3_bucket, "rows.jsonl", LINES)
    monkeypatch.setenv("AWS_ENDPOINT_URL", weak.address)
    s3fs.S3FileSystem.clear_instance_cache()
    path = f"s3://{s3_bucket}/rows.jsonl" if kind == "bucket" else f"{weak.address}/{s3_bucket}/rows.jsonl"
    weak.announces_less = announces_less
    weak.breaks = 2
    assert rows_at(JsonLines(path=path)) == ROWS
    assert weak.breaks == 0


@pytest.mark.parametrize("kind", ["bucket", "web"])
def test_a_download_that_always_breaks_off_is_named_and_leaves_nothing(
    kind: str, s3_bucket: str, weak: Weak, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(s3_bucket, "rows.jsonl", LINES)
    monkeypatch.setenv("AWS_ENDPOINT_URL", weak.address)
    s3fs.S3FileSystem.clear_instance_cache()
    path = f"s3://{s3_bucket}/rows.jsonl" if kind == "bucket" else f"{weak.address}/{s3_bucket}/rows.jsonl"
    weak.breaks = 1000
    (tmp_path / "to").mkdir()
    with pytest.raises(InputError, match=rf"^{path}: the download broke off 3 times, at last with .* Run again later"):
        JsonLines(path=path).local_copy(tmp_path / "to").__enter__()
    assert list((tmp_path / "to").iterdir()) == []
    assert weak.breaks <= 997


def test_a_copy_is_removed_when_its_reader_fails(s3_bucket: str, tmp_path: Path) -> None:
    put(s3_bucket, "rows.jsonl", LINES)
    (tmp_path / "to").mkdir()
    source = JsonLines(path=f"s3://{s3_bucket}/rows.jsonl")
    with pytest.raises(json.JSONDecodeError), source.local_copy(tmp_path / "to") as file:
        json.loads(file.read_bytes())
    assert list((tmp_path / "to").iterdir()) == []


def test_a_file_of_a_web_server_is_read(s3_server: str, s3_bucket: str, rows_at: RowsAt) -> None:
    put(s3_bucket, "rows.jsonl.gz", gzip.compress(LINES))
    source = JsonLines(path=f"{s3_server}/{s3_bucket}/rows.jsonl.gz?versionless=1")
    assert source.shards() == [source.path]
    assert rows_at(source) == ROWS


def test_what_a_web_server_refuses_is_named(
    s3_server: str, s3_bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import boto3

    monkeypatch.setattr(fetching, "PAUSES_SECONDS", (0.01, 0.01))
    boto3.client("s3").put_object(Bucket=s3_bucket, Key="private.jsonl", Body=LINES)
    place = f"{s3_server}/{s3_bucket}"
    for path, messages in (
        (f"{place}/none.jsonl", ["does not exist. Correct the path"] * 2),
        (f"{place}/private.jsonl", ["may not be read: 403"] * 2),
        ("http://127.0.0.1:9/rows.jsonl", ["cannot be read: ClientConnectorError", "broke off 3 times, at last with"]),
    ):
        found = refusals(JsonLines(path=path), tmp_path / "to")
        assert all(path in line and said in line for line, said in zip(found, messages, strict=True))
    for path in (f"{place}/*.jsonl", f"{place}/[ab].jsonl"):
        with pytest.raises(InputError, match=r"is a pattern, but a web server does not list its files\. Name one file"):
            JsonLines(path=path).shards()


READ = """
import sys, tempfile, pathlib
from data_contracts.errors import InputError
from tasks.ingestion.sources import JsonLines
source = JsonLines(path=sys.argv[1])
try:
    with tempfile.TemporaryDirectory() as folder, source.at(*source.shards()).local_copy(pathlib.Path(folder)) as file:
        print(sum(len(rows.numbers) for rows in source.batches(file)), "rows")
except InputError as error:
    print(error)
"""


def test_a_file_is_read_over_tls_where_the_certificate_is_trusted(s3_bucket: str, weak: Weak, tmp_path: Path) -> None:
    put(s3_bucket, "rows.jsonl", LINES)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(tmp_path))
    weak.socket = context.wrap_socket(weak.socket, server_side=True)
    path = f"{weak.address.replace('http', 'https')}/{s3_bucket}/rows.jsonl"
    # The library's own trust is settled once a process.
    assert said_by_reader(path, {"SSL_CERT_FILE": str(tmp_path / "server.pem")}) == "1000 rows"
    assert "cannot be read: ClientConnectorCertificateError" in said_by_reader(path, {})


def said_by_reader(path: str, variables: dict[str, str]) -> str:
    kept = {name: value for name, value in os.environ.items() if name != "SSL_CERT_FILE"}
    command = [sys.executable, "-c", READ, path]
    done = subprocess.run(command, env={**kept, **variables}, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def self_signed(folder: Path) -> Path:
    """Key and certificate of a server at 127.0.0.1, which is its own authority."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    host = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(host, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    secret = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "server.pem").write_bytes(secret + certificate.public_bytes(encoding))
    return folder / "server.pem"
