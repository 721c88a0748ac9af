"""robots.txt by RFC 9309: groups, the longest rule, wildcards, and hostile files."""

import time

import pytest

from transforms.files.web.robots_txt import MAX_BYTES, Robots

OURS = "User-agent: image-batch-inference\n"
ALL = "User-agent: *\n"


@pytest.mark.parametrize(
    ("text", "target", "allowed"),
    [
        ("", "/a.jpg", True),
        ("<html>not found</html>", "/a.jpg", True),
        (ALL + "Disallow: /", "/a.jpg", False),
        (ALL + "Disallow:", "/a.jpg", True),
        ("Disallow: /", "/a.jpg", True),
        ("\ufeffuser-AGENT : *  # all\r\n DISALLOW:/a # it\r\n", "/a.jpg", False),
        # A group of our own stands alone; several groups of one name are one.
        (ALL + "Disallow: /\n" + OURS + "Disallow: /b", "/a.jpg", True),
        (OURS + "Disallow: /b\n" + ALL + "Disallow: /\n" + OURS + "Disallow: /a", "/a.jpg", False),
        ("User-agent: x\nUser-agent: *\nDisallow: /", "/a.jpg", False),
        ("User-agent: x\nDisallow: /\nUser-agent: *\nAllow: /", "/a.jpg", True),
        ("User-agent: IMAGE-Batch-Inference/1.0\nDisallow: /", "/a.jpg", False),
        ("User-agent: image\nDisallow: /", "/a.jpg", True),
        # The longest rule decides, and of two as long the one that allows.
        (ALL + "Disallow: /p\nAllow: /p/open", "/p/open/a.jpg", True),
        (ALL + "Allow: /p/open\nDisallow: /p", "/p/a.jpg", False),
        (ALL + "Disallow: /page\nAllow: /page", "/page", True),
        (ALL + "Allow: /p\nDisallow: /", "/p", True),
        # Stars and the end.
        (ALL + "Disallow: /*.gif$", "/a/b.gif", False),
        (ALL + "Disallow: /*.gif$", "/a/b.gif?x", True),
        (ALL + "Disallow: /a*c*e", "/abcde", False),
        (ALL + "Disallow: /a*c*e", "/abde", True),
        (ALL + "Disallow: /a*a$", "/a", True),
        (ALL + "Disallow: /a**", "/ab", False),
        (ALL + "Disallow: /a$", "/a", False),
        (ALL + "Disallow: /a$", "/ab", True),
        (ALL + "Disallow: *.php", "/x.php?y", False),
        (ALL + "Disallow: /a?b=", "/a?b=1", False),
        # One path may be written in several ways.
        (ALL + "Disallow: /ä", "/%c3%a4.jpg", False),
        (ALL + "Disallow: /%7Ejoe", "/~joe/a.jpg", False),
        (ALL + "Disallow: /a%2fb", "/a%2Fb", False),
        (ALL + "Disallow: /a/b", "/a%2Fb", True),
    ],
)
def test_what_may_be_fetched(text: str, target: str, allowed: bool) -> None:
    assert Robots.parse(text).allows(target) is allowed


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"user-agent:a{n}\n" for n in range(20_000))
        + "".join(f"allow:/{n}\n" for n in range(20_000)),
        (OURS + "user-agent:*\n" + "disallow:/a\n" * 40_000),
        OURS + "disallow:" + "*a" * (MAX_BYTES // 2),
        OURS + "disallow:" + "*" * MAX_BYTES,
        OURS + "disallow:" + " " * MAX_BYTES,
        " " * MAX_BYTES,
        "user-agent" * (MAX_BYTES // 10),
    ],
)
def test_a_hostile_file_costs_little(text: str) -> None:
    started = time.process_time()
    robots = Robots.parse(text[:MAX_BYTES])
    robots.allows("/" + "a" * 8000 + "b")
    assert time.process_time() - started < 5
    assert robots.weight < 64 << 20
