"""What goes wrong on s3://, in our words."""

import contextlib
from collections.abc import Iterator

from botocore.exceptions import (
    BotoCoreError,
    ChecksumError,
    ClientError,
    ConnectionError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
)
from urllib3.exceptions import HTTPError

from transforms.errors import NotFoundError, PermissionDeniedError
from transforms.files.object_store import TransientError
from transforms.files.store_errors import http_error, no_answer

_DENIED = {"ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "TokenRefreshRequired"}
_TRANSIENT = {"ConditionalRequestConflict", "OperationAborted", "RequestTimeout"}
"""Codes whose status says something else."""

_REDIRECTED = (
    "the store redirects every request; check AWS_ENDPOINT_URL, also its http:// or https://"
)


@contextlib.contextmanager
def s3_errors(uri: str, absent: str = "no such object") -> Iterator[None]:
    """Raises in our words what Amazon's client raises.

    Args:
        uri: The object, or the bucket.
        absent: What to say if it is not there.

    Raises:
        NotFoundError, PermissionDeniedError, OSError: As ObjectStore.
    """
    try:
        yield
    except ClientError as error:
        raise _of_answer(uri, error, absent) from error
    except ParamValidationError as error:  # A name that no bucket can have, or none.
        raise NotFoundError(f"{uri}: it cannot be the name of an object") from error
    except (NoCredentialsError, CredentialRetrievalError) as error:
        raise PermissionDeniedError(f"{uri}: {error}") from error
    except (ChecksumError, FlexibleChecksumError) as error:
        raise TransientError(f"{uri}: {error}", reason="checksum") from error
    except IncompleteReadError as error:
        raise TransientError(f"{uri}: {error}", reason="short_body") from error
    except (ConnectTimeoutError, ReadTimeoutError) as error:
        raise TransientError(f"{uri}: {error}", reason="stall") from error
    except (ConnectionError, HTTPClientError, HTTPError) as error:
        raise TransientError(f"{uri}: {error}", reason="reset") from error
    except RecursionError as error:  # The client looks for the bucket's region, and is led back.
        raise OSError(f"{uri}: {_REDIRECTED}") from error
    except KeyError as error:  # The client leaves out what an answer lacks.
        raise no_answer(uri) from error
    except BotoCoreError as error:
        raise OSError(f"{uri}: {error}") from error


def _of_answer(uri: str, error: ClientError, absent: str) -> Exception:
    status, code = status_of(error), str(error.response.get("Error", {}).get("Code", ""))
    said = str(error.response.get("Error", {}).get("Message", "")) or code
    if code in _DENIED:
        status = 403
    elif 300 <= status < 400 and code == str(status):  # Of no store, which says where to ask.
        said = _REDIRECTED
    elif code in _TRANSIENT:
        status = 408
    elif status == 404:
        said = "no such bucket" if code == "NoSuchBucket" else absent
    elif status == 403 and said == "Forbidden":  # An answer without a body, to HEAD.
        said = "access denied"
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return http_error(uri, status, said, headers.get("retry-after"))


def status_of(error: ClientError) -> int:
    """Returns the status of an answer; 0 if it had none."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
