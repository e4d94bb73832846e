"""How many connections a process may have: the system's limit of open files."""

from __future__ import annotations

import sys

ENOUGH = 65_536  # a connection takes one; a session over gRPC or the page, one as well
FEW = 4_096


def raise_open_files() -> str | None:
    """Raise this process's limit of open files as far as it may, up to what a server can use.

    Returns:
        A warning for the log, if that is so few that silent connections could keep newcomers out.
    """
    if sys.platform == "win32":  # no such limit
        return None
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH if hard == resource.RLIM_INFINITY else min(ENOUGH, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
        except (OSError, ValueError):  # the system has a reason of its own
            pass
    if soft == resource.RLIM_INFINITY or soft >= FEW:
        return None
    return (
        f"this process may open {soft} files, so that about as many connections keep newcomers out; raise "
        "the limit: ulimit -Hn, LimitNOFILE= of systemd, or ulimits: of Compose"
    )
