"""What goes wrong on gs://, in our words."""

import contextlib
import json
import re
from collections.abc import Iterator

import requests
from google.api_core.exceptions import GoogleAPICallError, RetryError
from google.auth.exceptions import GoogleAuthError, InvalidOperation, TransportError
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse

from transforms.errors import NotFoundError, PermissionDeniedError
from transforms.files.object_store import TransientError
from transforms.files.store_errors import NO_CREDENTIALS, http_error, no_answer

_REQUEST = re.compile(r"^[A-Z]+ https?://\S+: ")
_MESSAGE = re.compile(r'"message": *("(?:[^"\\]|\\.)*")')


@contextlib.contextmanager
def google_errors(uri: str, absent: str = "no such object") -> Iterator[None]:
    """Raises in our words what Google's client raises.

    Args:
        uri: The object, or the bucket.
        absent: What to say if it is not there.

    Raises:
        NotFoundError, PermissionDeniedError, OSError: As ObjectStore.
    """
    try:
        yield
    except GoogleAPICallError as error:
        status = int(error.code or 0)
        headers = {} if error.response is None else error.response.headers
        said = absent if status == 404 else _said(error)
        raise http_error(uri, status, said, headers.get("Retry-After")) from error
    except InvalidResponse as error:
        answer = error.response
        said = absent if answer.status_code == 404 else _message_in(answer.text) or answer.reason
        raise http_error(uri, answer.status_code, said or "") from error
    except RetryError as error:
        raise TransientError(f"{uri}: {error.cause or error}") from error
    except DataCorruption as error:
        raise TransientError(
            f"{uri}: what came has not the checksum of the object", reason="checksum"
        ) from error
    except (requests.JSONDecodeError, AttributeError) as error:  # The client takes nothing for b"".
        raise no_answer(uri) from error
    except requests.Timeout as error:
        raise TransientError(f"{uri}: {error}", reason="stall") from error
    except (requests.RequestException, TransportError) as error:
        raise TransientError(f"{uri}: {error}", reason="reset") from error
    except InvalidOperation as error:
        raise PermissionDeniedError(f"{uri}: {NO_CREDENTIALS}") from error
    except GoogleAuthError as error:
        raise PermissionDeniedError(f"{uri}: {error}") from error
    except ValueError as error:  # No bucket, or a name that cannot be.
        raise NotFoundError(f"{uri}: {error}") from error


def _said(error: GoogleAPICallError) -> str:
    """Returns what the server says, without the request's long URL before it.

    Of a listing and of a download, which has all of the answer, and that in either of two shapes:

        errors [{"message": "No access."}]
        "GET https://…: No access.: ('Request failed with status code', 403, …)"
        "GET https://…: {…"message": "No access."…}: ('Request failed with status code', 403, …)"
    """
    if error.errors:
        return str(error.errors[0].get("message", ""))
    text = _REQUEST.sub("", str(error.message)).partition(": ('Request failed")[0]
    return _message_in(text) or text


def _message_in(text: str) -> str | None:
    found = _MESSAGE.search(text)
    return json.loads(found[1]) if found else None
