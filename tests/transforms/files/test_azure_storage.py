"""Who asks az://, and of which account; and what else only Azure has."""

import datetime
import socket
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.storage.blob import (
    AccountSasPermissions,
    BlobServiceClient,
    ContentSettings,
    LinearRetry,
    ResourceTypes,
    generate_account_sas,
)

from tests.support.azure import ACCOUNT, KEY, AzureBucket, AzureServer
from transforms.errors import InputError, NotFoundError, PermissionDeniedError
from transforms.files import azure_account
from transforms.files.azure_reads import get_blob
from transforms.files.azure_storage import AzureStore
from transforms.files.object_store import TransientError
from transforms.inputs.listing import classify_input

AZURE = AzureStore()


@pytest.fixture
def nobody(azure: AzureBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes away what the environment says of who asks."""
    for name in ("ACCOUNT", "KEY", "ENDPOINT"):
        monkeypatch.delenv(f"AZURE_STORAGE_{name}")


@pytest.mark.usefixtures("nobody")
def test_azure_says_what_names_the_account(azure: AzureBucket) -> None:
    with pytest.raises(InputError, match="az:// needs an account: set AZURE_STORAGE_ACCOUNT or"):
        classify_input(azure.uri)


@pytest.mark.usefixtures("nobody")
def test_azure_is_asked_by_nobody_where_there_are_no_credentials(
    azure: AzureBucket,
    azure_server: AzureServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT", ACCOUNT)
    monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", azure_server.url)
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential")
    uri = azure.put("a.jpg")
    with pytest.raises((PermissionDeniedError, NotFoundError)):
        AZURE.stat(uri)
    azure._container.set_container_access_policy({}, public_access="blob")
    assert AZURE.read(uri, 10) == b"123"


@pytest.mark.usefixtures("nobody")
def test_azure_is_asked_as_a_connection_string_says(
    azure: AzureBucket,
    azure_server: AzureServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parts = [f"AccountName={ACCOUNT}", f"AccountKey={KEY}", f"BlobEndpoint={azure_server.url}"]
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", ";".join(parts))
    assert AZURE.read(azure.put("a.jpg"), 10) == b"123"
    assert AZURE.read(f"azfs://{ACCOUNT}/{azure.name}/a.jpg", 10) == b"123"


def sign(
    server: AzureServer,
    may: AccountSasPermissions,
    is_in_connection: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Lets the process ask with a signature that allows so much."""
    expiry = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
    every = ResourceTypes(service=True, container=True, object=True)
    token = generate_account_sas(ACCOUNT, KEY, every, may, expiry)
    monkeypatch.delenv("AZURE_STORAGE_KEY")
    if is_in_connection:
        text = f"BlobEndpoint={server.url};SharedAccessSignature={token}"
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", text)
    else:
        monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", token)


@pytest.mark.parametrize("is_in_connection", [False, True])
def test_azure_is_asked_with_a_signature_which_no_message_tells(
    azure: AzureBucket,
    azure_server: AzureServer,
    is_in_connection: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    may = AccountSasPermissions(read=True, list=True)
    sign(azure_server, may, is_in_connection, monkeypatch)
    uri = azure.put("p/a b?#%.jpg")
    assert AZURE.read(uri, 10) == b"123"
    assert [found.uri for found in AZURE.list_objects(f"{azure.uri}/")] == [uri]
    for refused in (lambda: AZURE.delete(uri), lambda: AZURE.copy(uri, f"{azure.uri}/b.jpg")):
        with pytest.raises(PermissionDeniedError) as caught:
            refused()
        assert "sig=" not in str(caught.value)


@pytest.mark.usefixtures("nobody")
def test_a_server_that_is_away_does_not_get_the_signature_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # Nobody listens there, and nobody else may.
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/{ACCOUNT}"
        text = f"BlobEndpoint={url};SharedAccessSignature=sv=2025&sig=secret%3D"
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", text)
        monkeypatch.setattr(
            azure_account, "ExponentialRetry", lambda **_: LinearRetry(retry_total=0)
        )
        with pytest.raises(TransientError, match="sv=2025&sig=… ") as caught:
            AZURE.stat("az://c/x")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("is_in_connection", [False, True])
def test_what_is_copied_is_asked_for_with_the_signature_too(
    azure: AzureBucket,
    azure_server: AzureServer,
    is_in_connection: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    every = AccountSasPermissions(read=True, write=True, create=True)
    sign(azure_server, every, is_in_connection, monkeypatch)
    server, sources = azure.faults._application, []

    def look(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if source := environ.get("HTTP_X_MS_COPY_SOURCE"):
            sources.append(source)
            if "absent" in source:
                start("404 Not Found", [("x-ms-error-code", "CannotVerifyCopySource")])
                return []
        return server(environ, start)

    monkeypatch.setattr(azure.faults, "_application", look)
    uri = azure.put("p/a b?#%.jpg")
    AZURE.copy(uri, f"{azure.uri}/b.jpg")
    assert azure.get("b.jpg") == b"123"
    with pytest.raises(NotFoundError, match=r"absent: there is no such object to copy, or whoever"):
        AZURE.copy(f"{azure.uri}/absent", f"{azure.uri}/b.jpg")
    first, second = sources
    assert first.startswith(f"{azure_server.url}/{azure.name}/p/a%20b%3F%23%25.jpg?")
    assert "sig=" in first
    assert "sig=" in second


def test_azure_has_a_name_for_beams_uris(azure: AzureBucket) -> None:
    azure.put("p/a.jpg")
    root = f"azfs://{ACCOUNT}/{azure.name}"
    assert [found.uri for found in AZURE.list_objects(f"{root}/p")] == [f"{root}/p/a.jpg"]
    assert list(AZURE.list_folder(f"{root}/")) == [f"{root}/p/"]
    assert AZURE.bucket_of(f"{root}/p/a.jpg") == root
    assert classify_input(root).is_directory
    with pytest.raises(NotFoundError, match="azfs://account/container/"):
        AZURE.stat(f"azfs://{azure.name}")


def test_a_directory_of_data_lake_storage_is_no_object(azure: AzureBucket) -> None:
    azure.put("p", b"", metadata={"hdi_isfolder": "true"})
    azure.put("p/a.jpg")
    assert [found.uri for found in AZURE.list_objects(f"{azure.uri}/")] == [f"{azure.uri}/p/a.jpg"]
    with pytest.raises(NotFoundError, match="it is a directory"):
        AZURE.stat(f"{azure.uri}/p")


def test_what_came_has_the_md5_that_azure_noted(azure: AzureBucket) -> None:
    uri = azure.put("a.jpg")
    assert AZURE.read(uri, 10) == b"123"
    wrong = ContentSettings(content_md5=bytearray(16))
    azure._container.get_blob_client("a.jpg").set_http_headers(wrong)
    with pytest.raises(OSError, match="has not the MD5"):
        AZURE.read(uri, 10)


def test_half_a_page_of_a_listing_is_asked_for_again(azure: AzureBucket) -> None:
    uris = [azure.put(f"{number}.jpg") for number in range(3)]
    azure.cut_bodies()
    assert [found.uri for found in AZURE.list_objects(f"{azure.uri}/")] == uris
    azure.cut_bodies()
    assert list(AZURE.list_folder(f"{azure.uri}/")) == list(AZURE.list_objects(f"{azure.uri}/"))


def test_the_client_is_asked_for_what_is_refused_alone(
    azure: AzureBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri, server, clients = azure.put("a.jpg"), azure.faults._application, []

    def look(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        clients.append("HTTP_X_MS_CLIENT_REQUEST_ID" in environ)
        return server(environ, start)

    monkeypatch.setattr(azure.faults, "_application", look)
    assert AZURE.read(uri, 10) == b"123"
    assert AZURE.read_range(uri, 1, 9) == b"23"
    assert AZURE.read_range(uri, 3, 9) == b""
    with pytest.raises(NotFoundError, match=f"^{azure.uri}/b.jpg: no such object$"):
        AZURE.read(f"{azure.uri}/b.jpg", 10)
    assert clients == [False, False, False, False, True]


def test_a_token_is_fetched_to_read() -> None:
    scopes: list[str] = []

    class Credential:
        def get_token(self, *wanted: str, **options: object) -> AccessToken:
            scopes.extend(wanted)
            return AccessToken("token", 1 << 40)

    service = BlobServiceClient("https://127.0.0.1:1/account", credential=Credential())
    for _ in range(2):
        with pytest.raises(TransientError):  # Nobody is at port 1.
            get_blob(service, "c", "a.jpg", None, 10, "az://c/a.jpg")
    assert scopes == ["https://storage.azure.com/.default"]
