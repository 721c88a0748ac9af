"""Retry-After: the header by which a server says how long it wants to be left alone."""

import email.utils
import re
import time


def retry_after_seconds(value: str | None) -> float | None:
    """Reads the header.

    Args:
        value: "120", or a date such as "Wed, 21 Oct 2015 07:28:00 GMT"; None if it was not sent.

    Returns:
        The time to wait, from 0; None if it does not say.

    Source:
        RFC 9110, 10.2.3.
    """
    text = (value or "").strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    try:
        until = email.utils.parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None
    return max(0.0, until - time.time())
