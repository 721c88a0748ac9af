"""Which store of objects a URI is in: the one place that knows all of them.

A store's client is imported when the first URI of its scheme comes.
"""

import functools

from transforms.files.object_store import ObjectStore
from transforms.files.schemes import check_scheme, scheme_of


def store_of(uri: str) -> ObjectStore | None:
    """Returns the store that a URI is in; None for a local path, and for a scheme of Beam's alone.

    Raises:
        ValueError: If the store's extra is not installed, or nothing knows the scheme.
    """
    scheme = scheme_of(uri)
    if scheme not in _STORES:
        return None
    check_scheme(uri)
    return _kept(scheme)


@functools.cache
def _kept(scheme: str) -> ObjectStore:
    return _STORES[scheme]()


def _google() -> ObjectStore:
    from transforms.files.cloud_storage import GoogleStore

    return GoogleStore()


def _s3() -> ObjectStore:
    from transforms.files.s3_storage import S3Store

    return S3Store()


def _azure() -> ObjectStore:
    from transforms.files.azure_storage import AzureStore

    return AzureStore()


_STORES = {"gs": _google, "s3": _s3, "az": _azure, "azfs": _azure}
