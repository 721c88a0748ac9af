"""Who asks s3://, and where: told by the environment, as the AWS CLI is told."""

import pathlib
from typing import Any

import pytest
from botocore import UNSIGNED

from tests.support.s3 import S3Bucket
from transforms.errors import InputError, PermissionDeniedError
from transforms.files import s3_storage
from transforms.files.s3_storage import S3Store
from transforms.inputs.listing import classify_input

S3 = S3Store()


def clients() -> tuple[Any, Any]:
    client, reads = s3_storage.kept_clients()
    return client, reads.client


@pytest.fixture
def nobody(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """Takes away what the environment says of who asks; returns where files may say it."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
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
    assert {client.meta.config.signature_version for client in clients()} == {UNSIGNED}


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
    for client in clients():
        assert client.meta.region_name == "eu-west-1"
        assert client.meta.config.signature_version != UNSIGNED
    s3_storage.kept_clients.cache_clear()
    monkeypatch.setenv("AWS_PROFILE", "another")
    with pytest.raises(InputError, match=r"cannot be listed: .*profile \(another\) could not be"):
        classify_input(s3.uri)
