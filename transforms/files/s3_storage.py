"""Objects on s3://, by Amazon's client: on AWS, and wherever its API is spoken.

Who asks and where is told as the AWS CLI is told: AWS_PROFILE and the files of profiles,
AWS_ACCESS_KEY_ID, AWS_REGION, AWS_ENDPOINT_URL, or the machine's role. A bucket of another region
is found. Without credentials nothing is signed, as public buckets allow.
"""

import contextlib
import functools
import re
import threading
import uuid
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

import boto3
import botocore.session
from boto3.s3.transfer import TransferConfig
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from transforms.errors import NotFoundError
from transforms.files import object_store
from transforms.files.http_get import Answer
from transforms.files.listing_pages import Page, each_page
from transforms.files.object_parts import check_version, read_part
from transforms.files.object_store import CONNECTIONS, StoredObject
from transforms.files.object_writer import ObjectWriter
from transforms.files.s3_errors import s3_errors, status_of
from transforms.files.s3_reads import S3Reads
from transforms.files.store_errors import no_answer

CONNECT_SECONDS = 10
READ_SECONDS = 60
"""Silence of a connection after which it is given up."""

ATTEMPTS = 8
"""Of what the client tries again: in about a minute, with growing pauses."""

MAX_COPY_BYTES = 5 << 30
"""One request copies no more (CopyObject, API of 2006-03-01); what is larger goes in parts."""

_URI = re.compile(r"s3://([^/]+)/(.*)", re.DOTALL)
_ATTEMPT = "create-attempt"
_LOCK = threading.Lock()


class S3Store:
    """The store of s3://bucket/name; see ObjectStore. A version is the ETag."""

    def bucket_of(self, uri: str) -> str:
        """Returns s3://bucket."""
        return "/".join(uri.split("/")[:3])

    def list_objects(self, prefix_uri: str) -> Iterator[StoredObject]:
        """Lists the objects whose URI begins so."""
        for entry in self._list(prefix_uri):
            assert isinstance(entry, StoredObject), "without a delimiter there are no prefixes"
            yield entry

    def list_folder(self, folder_uri: str) -> Iterator[StoredObject | str]:
        """Lists what is right in a folder."""
        return self._list(folder_uri, Delimiter="/")

    def stat(self, uri: str) -> StoredObject:
        """Returns one object as a listing has it."""
        with s3_errors(uri):
            found = _client().head_object(**_place(uri))
            return _stored(uri, found, found["ContentLength"])

    def read(self, uri: str, max_bytes: int) -> bytes:
        """Reads an object whole."""
        with s3_errors(uri):
            return _reads().read(*_bucket_and_object(uri), max_bytes, None, uri).body

    def read_range(self, uri: str, start: int, stop: int, version: str | None = None) -> bytes:
        """Reads a part of an object."""
        if stop <= start:
            return b""

        def ask(part: str, max_bytes: int) -> Answer:
            return _reads().read(*_bucket_and_object(uri), max_bytes, part, uri)

        with s3_errors(uri):
            answer = read_part(ask, uri, start, stop)
        check_version(uri, answer.headers.get("ETag"), version)
        return answer.body

    def create(self, uri: str) -> BinaryIO:
        """Opens an object to write."""
        with s3_errors(uri):
            return cast(BinaryIO, ObjectWriter(_Upload(uri), uri))

    def create_if_absent(self, uri: str, content: bytes) -> bool:
        """Creates an object unless there is one."""
        own = {_ATTEMPT: uuid.uuid4().hex}
        with s3_errors(uri):
            place = _place(uri)
            try:
                _check_written(
                    _client().put_object(**place, Body=content, Metadata=own, IfNoneMatch="*"), uri
                )
            except ClientError as error:
                if status_of(error) != 412:
                    raise
                # The client tries again when an answer is lost: the object may be this call's own.
                with contextlib.suppress(NotFoundError), s3_errors(uri):
                    return _client().head_object(**place).get("Metadata") == own
                return False
            return True

    def copy(self, source_uri: str, target_uri: str) -> None:
        """Copies an object."""
        in_parts = TransferConfig(
            multipart_threshold=MAX_COPY_BYTES, multipart_chunksize=1 << 30, use_threads=False
        )
        with s3_errors(source_uri):
            _client().copy(_place(source_uri), **_place(target_uri), Config=in_parts)

    def delete(self, uri: str) -> None:
        """Deletes an object."""
        with s3_errors(uri):
            _client().delete_object(**_place(uri))

    def _list(self, uri: str, **options: str) -> Iterator[StoredObject | str]:
        bucket = self.bucket_of(uri)

        def fetch(token: str | None) -> Page:
            with s3_errors(bucket, "no such bucket"):
                name, prefix = _bucket_and_name(uri)
                at = options if token is None else options | {"ContinuationToken": token}
                page = _client().list_objects_v2(
                    Bucket=name, Prefix=prefix, MaxKeys=object_store.PAGE_OBJECTS, **at
                )
            following = page.get("NextContinuationToken")
            # The client takes any answer with status 200 for a page, if need be the last.
            if page.get("IsTruncated") is not (following is not None):
                raise no_answer(bucket)
            entries: list[StoredObject | str] = [
                _stored(f"{bucket}/{entry['Key']}", entry, entry["Size"])
                for entry in page.get("Contents", ())
            ]
            entries += (f"{bucket}/{each['Prefix']}" for each in page.get("CommonPrefixes", ()))
            return Page(entries, following)

        return each_page(fetch, bucket)


class _Upload:
    """An object on its way; see object_writer.Upload."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._place = _place(uri)
        self._upload: dict[str, str] = {}
        self._parts: list[dict[str, Any]] = []

    def put(self, content: bytes) -> None:
        with s3_errors(self._uri):
            _check_written(_client().put_object(**self._place, Body=content), self._uri)

    def send(self, part: bytes) -> None:
        with s3_errors(self._uri):
            if not self._upload:
                begun = _client().create_multipart_upload(**self._place)
                self._upload = {**self._place, "UploadId": begun["UploadId"]}
            number = len(self._parts) + 1
            sent = _client().upload_part(**self._upload, PartNumber=number, Body=part)
            told = {name: value for name, value in sent.items() if name.startswith("Checksum")}
            told.pop("ChecksumType", None)
            self._parts.append({**told, "PartNumber": number, "ETag": sent["ETag"]})

    def finish(self) -> None:
        with s3_errors(self._uri):
            finished = _client().complete_multipart_upload(
                **self._upload, MultipartUpload={"Parts": self._parts}
            )
            _check_written(finished, self._uri)

    def abort(self) -> None:
        if self._upload:
            with s3_errors(self._uri):
                _client().abort_multipart_upload(**self._upload)


def _check_written(answer: dict[str, Any], uri: str) -> None:
    """Checks that it was the store that said that an object is written: it tells its version."""
    if "ETag" not in answer:
        raise no_answer(uri)


def _stored(uri: str, found: dict[str, Any], size_bytes: int) -> StoredObject:
    return StoredObject(
        uri, size_bytes, found["ETag"].strip('"'), found["LastModified"].timestamp()
    )


def _bucket_and_name(uri: str) -> tuple[str, str]:
    match = _URI.fullmatch(uri)
    if match is None:
        raise NotFoundError(f"{uri}: it is not s3://bucket/ and a name")
    return match[1], match[2]


def _bucket_and_object(uri: str) -> tuple[str, str]:
    bucket, name = _bucket_and_name(uri)
    if not name:
        raise NotFoundError(f"{uri}: it names no object")
    return bucket, name


def _place(uri: str) -> dict[str, str]:
    bucket, name = _bucket_and_object(uri)
    return {"Bucket": bucket, "Key": name}


def _client() -> Any:  # noqa: ANN401 - made at run time
    return _kept()[0]


def _reads() -> S3Reads:
    return _kept()[1]


def _kept() -> tuple[Any, S3Reads]:
    with _LOCK:  # A cache alone lets threads that start together make some each.
        return kept_clients()


@functools.cache
def kept_clients() -> tuple[Any, S3Reads]:
    """Makes the process's client, which tries again, and its reads, which do not.

    Raises:
        botocore.exceptions.BotoCoreError: If a profile or what the environment says is none.
    """
    core = botocore.session.get_session()
    session = boto3.session.Session(botocore_session=core)
    signature = None if session.get_credentials() else UNSIGNED

    def client(attempts: int) -> Any:  # noqa: ANN401 - made at run time
        config = Config(
            signature_version=signature,
            max_pool_connections=CONNECTIONS,
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": attempts},
        )
        return session.client("s3", config=config)

    return client(ATTEMPTS), S3Reads(client(1), core.get_config_variable("ca_bundle"))
