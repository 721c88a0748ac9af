"""Who asks a store, and where: told by the environment, as its own tools are told."""

import pathlib

import pytest
from botocore import UNSIGNED

from tests.support.azure import ACCOUNT, KEY, AzureBucket, AzureServer
from tests.support.s3 import S3Bucket
from transforms.errors import InputError, NotFoundError, PermissionDeniedError
from transforms.files import s3_storage
from transforms.files.azure_storage import AzureStore
from transforms.files.s3_storage import S3Store
from transforms.inputs.listing import classify_input

S3, AZURE = S3Store(), AzureStore()


@pytest.fixture
def nobody(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """Takes away what the environment says of who asks."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("ACCOUNT", "KEY", "ENDPOINT"):
        monkeypatch.delenv(f"AZURE_STORAGE_{name}", raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    return tmp_path


def test_s3_is_asked_by_nobody_where_there_are_no_credentials(
    s3: S3Bucket, nobody: pathlib.Path
) -> None:
    uri = s3.put("a.jpg")
    with pytest.raises(PermissionDeniedError, match=f"^{uri}: access denied$"):
        S3.stat(uri)
    s3._client.put_object_acl(Bucket=s3.name, Key="a.jpg", ACL="public-read")
    assert S3.read(uri, 10) == b"123"
    assert {client.meta.config.signature_version for client in s3_storage.kept_clients()} == {
        UNSIGNED
    }


def test_s3_is_asked_as_a_profile_says(
    s3: S3Bucket, nobody: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "[profile own]\nregion = eu-west-1\n"
    (nobody / "config").write_text(text)
    (nobody / "credentials").write_text(
        "[own]\naws_access_key_id = mine\naws_secret_access_key = secret\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(nobody / "config"))
    monkeypatch.setenv("AWS_PROFILE", "own")
    assert S3.read(s3.put("a.jpg"), 10) == b"123"
    for client in s3_storage.kept_clients():
        assert client.meta.region_name == "eu-west-1"
        assert client.meta.config.signature_version != UNSIGNED
    s3_storage.kept_clients.cache_clear()
    monkeypatch.setenv("AWS_PROFILE", "another")
    with pytest.raises(InputError, match=r"cannot be listed: .*profile \(another\) could not be"):
        classify_input(s3.uri)


def test_azure_says_what_names_the_account(azure: AzureBucket, nobody: pathlib.Path) -> None:
    with pytest.raises(InputError, match="az:// needs an account: set AZURE_STORAGE_ACCOUNT or"):
        classify_input(azure.uri)


def test_azure_is_asked_by_nobody_where_there_are_no_credentials(
    azure: AzureBucket,
    azure_server: AzureServer,
    nobody: pathlib.Path,
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


def test_azure_is_asked_as_a_connection_string_says(
    azure: AzureBucket,
    azure_server: AzureServer,
    nobody: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parts = [f"AccountName={ACCOUNT}", f"AccountKey={KEY}", f"BlobEndpoint={azure_server.url}"]
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", ";".join(parts))
    assert AZURE.read(azure.put("a.jpg"), 10) == b"123"
    assert AZURE.read(f"azfs://{ACCOUNT}/{azure.name}/a.jpg", 10) == b"123"


def test_azure_is_asked_with_a_signature_which_no_message_tells(
    azure: AzureBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datetime

    from azure.storage.blob import AccountSasPermissions, ResourceTypes, generate_account_sas

    expiry = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
    may = AccountSasPermissions(read=True, list=True)
    every = ResourceTypes(service=True, container=True, object=True)
    token = generate_account_sas(ACCOUNT, KEY, every, may, expiry)
    monkeypatch.delenv("AZURE_STORAGE_KEY")
    monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", token)
    uri = azure.put("a.jpg")
    assert AZURE.read(uri, 10) == b"123"
    assert [found.uri for found in AZURE.list_objects(f"{azure.uri}/")] == [uri]
    for refused in (lambda: AZURE.delete(uri), lambda: AZURE.copy(uri, f"{azure.uri}/b.jpg")):
        with pytest.raises(PermissionDeniedError) as caught:
            refused()
        assert "sig=" not in str(caught.value)


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
    from azure.storage.blob import ContentSettings

    uri = azure.put("a.jpg")
    assert AZURE.read(uri, 10) == b"123"
    wrong = ContentSettings(content_md5=bytearray(16))
    azure._container.get_blob_client("a.jpg").set_http_headers(wrong)
    with pytest.raises(OSError, match="has not the MD5"):
        AZURE.read(uri, 10)
