"""Reading objects on az://: one signed GET each, sent without Microsoft's client."""

import functools
from email.utils import formatdate
from urllib.parse import quote

import urllib3
from azure.core.pipeline import PipelineContext, PipelineRequest
from azure.core.rest import HttpRequest
from azure.storage.blob import BlobServiceClient

from transforms.files.http_get import Answer, get, make_connections


def get_blob(
    service: BlobServiceClient,
    container: str,
    name: str,
    part: str | None,
    max_bytes: int,
    uri: str,
) -> Answer:
    """Sends one GET for an object or a part of it, signed as the client signs.

    Through the client a read takes five times the processor's time: 1.9 ms for 20 kB.

    Args:
        service: Client of the account.
        container: Name of the container.
        name: Name of the object.
        part: Bytes of it, as the header Range names them; None is all.
        max_bytes: Largest size of what is read.
        uri: URI of it, for messages.

    Raises:
        FileTooLargeError, TransientError: As http_get.get.
        AzureError: If nothing can be signed.
    """
    url, connections = _place(service, container)
    headers = {"x-ms-version": service.api_version, "x-ms-date": formatdate(usegmt=True)}
    if part is not None:
        headers["x-ms-range"] = part
    path, mark, query = url.partition("?")  # A signature may be in it.
    request = HttpRequest("GET", f"{path}/{quote(name, safe='/~')}{mark}{query}", headers=headers)
    if service._credential_policy is not None:
        service._credential_policy.on_request(PipelineRequest(request, PipelineContext(None)))
    return get(connections, request.url, request.headers, max_bytes, uri)


@functools.lru_cache(256)
def _place(service: BlobServiceClient, container: str) -> tuple[str, urllib3.PoolManager]:
    return service.get_container_client(container).url, _connections(service)


@functools.lru_cache(16)
def _connections(service: BlobServiceClient) -> urllib3.PoolManager:
    return make_connections(service.url)
