"""Accounts of Azure Storage: which one az:// means, and who asks.

Both are told as the Azure CLI is told: AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT
with AZURE_STORAGE_KEY, AZURE_STORAGE_SAS_TOKEN, or what azure-identity finds: AZURE_CLIENT_ID and
its like, a managed identity, az login. Without any, nothing is signed, as public containers allow.
"""

import functools
import logging
import os
import threading
from typing import Any

import requests
from azure.core.exceptions import ClientAuthenticationError
from azure.core.pipeline.transport import RequestsTransport
from azure.identity import DefaultAzureCredential
from azure.storage.blob import BlobServiceClient, ExponentialRetry
from requests.adapters import HTTPAdapter

from transforms.files.object_store import CONNECTIONS

CONNECT_SECONDS = 10
READ_SECONDS = 60
"""Silence of a connection after which it is given up."""

# Of each way to find out who asks that leads nowhere; a refusal says enough.
logging.getLogger("azure.identity").setLevel(logging.ERROR)

_SCOPE = "https://storage.azure.com/.default"
_LOCK = threading.Lock()


def service_of(account: str | None) -> BlobServiceClient:
    """Returns the process's client of an account, or of the one that the environment names.

    Raises:
        OSError: If the environment names none.
    """
    with _LOCK:  # A cache alone lets threads that start together make one each.
        return kept_service(account)


@functools.cache
def kept_service(account: str | None) -> BlobServiceClient:
    """Makes what service_of keeps."""
    own = _environment("ACCOUNT_NAME", "ACCOUNT")
    if connection := _environment("CONNECTION_STRING"):
        service = BlobServiceClient.from_connection_string(connection, **_options())
        if account in (None, service.account_name):
            return service
    name = account or own
    if name is None:
        raise OSError(
            "az:// needs an account: set AZURE_STORAGE_ACCOUNT or AZURE_STORAGE_CONNECTION_STRING"
        )
    is_own = name == own or own is None
    endpoint = _environment("ENDPOINT", "SERVICE_ENDPOINT") if is_own else None
    return BlobServiceClient(
        endpoint or f"https://{name}.blob.core.windows.net",
        credential=_credential(name) if is_own else _identity(),
        **_options(),
    )


def _credential(account: str) -> Any:  # noqa: ANN401 - one of several
    if key := _environment("ACCOUNT_KEY", "KEY"):
        return {"account_name": account, "account_key": key}
    if token := _environment("SAS_TOKEN"):
        return token  # In each URL, also in that of what is copied, which Azure reads by itself.
    return _identity()


def _identity() -> DefaultAzureCredential | None:
    credential = DefaultAzureCredential()
    try:
        credential.get_token(_SCOPE)
    except ClientAuthenticationError:  # Public containers need none, and the others say so.
        return None
    return credential


def _environment(*names: str) -> str | None:
    for name in names:
        if value := os.environ.get(f"AZURE_STORAGE_{name}"):
            return value
    return None


def _options() -> dict[str, Any]:
    session = requests.Session()
    session.mount("https://", HTTPAdapter(pool_maxsize=CONNECTIONS))
    session.mount("http://", HTTPAdapter(pool_maxsize=CONNECTIONS))
    return {
        "transport": RequestsTransport(session=session, session_owner=False),
        # After 1, 3, 5, 9, 17 and 33 s: about a minute.
        "retry_policy": ExponentialRetry(
            initial_backoff=1, increment_base=2, retry_total=6, random_jitter_range=1
        ),
        "connection_timeout": CONNECT_SECONDS,
        "read_timeout": READ_SECONDS,
        # Each read is one request: its length is bounded by who asks.
        "max_single_get_size": 1 << 40,
    }
