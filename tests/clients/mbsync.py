"""mbsync as the scenarios start it: its configuration, and what it says that it did."""

import os
import re

from place import run_on_terminal, write


def account(place):
    """How a place is reached over the network."""
    tls = {"implicit": f"SSLType IMAPS\nCertificateFile {place.cert}",
           "starttls": f"SSLType STARTTLS\nCertificateFile {place.cert}",
           None: "SSLType None\nAuthMechs LOGIN"}[place.tls]
    return f"Host localhost\nPort {place.port}\nUser {place.user}\nPass \"{place.password}\"\n{tls}"


def configuration(place, channel, server=None):
    """A file that joins the server, as `server` reaches it, with the Maildirs in local/ by one channel."""
    return write(place.path("mbsyncrc"), f"""
IMAPAccount server
{server or account(place)}
Timeout 60

IMAPStore far
Account server

MaildirStore near
Path {place.path('local')}/
Inbox {place.path('local')}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
{channel}
Expunge Both
Sync All
SyncState {place.path('mbsync-state')}/
""")


def sync(place, path, *before, home=None, seconds=240):
    """Runs mbsync, after the words `before` if it is another command that starts it. How many messages it added, changed and removed:
    on the server and here."""
    environment = {**os.environ, "HOME": home or place.directory, "USER": place.user, "TERM": "vt100"}
    output = run_on_terminal(*before, "mbsync", "-c", path, "-a", seconds=seconds, env=environment)
    # It draws its counters again and again; the last stands.
    done = re.findall(r"[FM]: \+(\d+)/\d+ \*(\d+)/\d+ #(\d+)/\d+ +[NS]: \+(\d+)/\d+ \*(\d+)/\d+ #(\d+)/\d+", output)
    if not done:
        raise AssertionError(f"mbsync did not count:\n{output[-4000:]}")
    return [int(number) for number in done[-1]]
