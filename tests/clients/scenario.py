"""What the scenarios share: one class of tests runs on each place, and what is on the server can be looked at."""

import imaplib
import os
import re
import shutil
import unittest

from place import ALL, Fork, message


def everywhere(cls):
    """Makes of a class of scenarios one for each place, `Mbsync` into `Mbsync_Demo`, `Mbsync_PasswordFile`, `Mbsync_Fork`."""
    made = {f"{cls.__name__}_{place.__name__}": type(f"{cls.__name__}_{place.__name__}", (cls,), {
        "place_type": place, "__module__": cls.__module__, "__doc__": cls.__doc__}) for place in ALL}
    return made


class Scenario(unittest.TestCase):
    """One client at work on a server that is started for this test alone."""

    place_type = None
    needs = ()  # programs

    def setUp(self):
        for program in self.needs:
            if not shutil.which(program):
                self.cannot(f"{program} is not installed")
        if self.place_type is None:
            return
        if issubclass(self.place_type, Fork) and os.geteuid() != 0:
            self.cannot("it needs root")
        self.place = self.place_type()
        self.addCleanup(self.place.stop)

    def cannot(self, reason):
        """Skips; but never in CI, where a scenario that does not run has failed."""
        if os.environ.get("CI") == "true":
            self.fail(f"cannot run: {reason}")
        self.skipTest(reason)

    def run(self, result=None):
        """Puts the server's log beside a failure."""
        super().run(result)
        place = getattr(self, "place", None)
        for problems in (result.failures, result.errors):
            if place and place.last_log and problems and problems[-1][0] is self:
                problems[-1] = (self, f"{problems[-1][1]}--- the server's log ---\n{place.last_log}")
        return result

    def append(self, numbers, folder="INBOX"):
        client = self.place.login()
        for number in numbers:
            expect(client.append(folder, None, None, message(number)))
        client.logout()

    def contents(self, folder="INBOX"):
        """By Message-ID: the flags and the octets of each message in a folder on the server."""
        client = self.place.login()
        expect(client.select(folder, readonly=True))
        found = {}
        for flags, octets in fetch_all(client):
            found[message_id(octets)] = (flags, octets)
        client.logout()
        return found


def expect(answer):
    """The data of an answer that must be OK."""
    kind, data = answer
    if kind != "OK":
        raise AssertionError(f"the server answered {kind} {data}")
    return data


def fetch_all(client):
    """Flags without \\Recent and octets of every message in the selected mailbox."""
    if expect(client.uid("SEARCH", None, "ALL"))[0] == b"":
        return []
    found = []
    for item in expect(client.uid("FETCH", "1:*", "(FLAGS BODY.PEEK[])")):
        if isinstance(item, tuple):
            flags = {flag.decode() for flag in imaplib.ParseFlags(item[0])} - {"\\Recent"}
            found.append((flags, item[1]))
    return found


def message_id(octets):
    found = re.search(rb"^Message-ID: *(<[^>]*>)", octets, re.IGNORECASE | re.MULTILINE)
    if not found:
        raise AssertionError(f"a message without Message-ID: {octets[:300]!r}")
    return found[1].decode()


def ids(numbers):
    return {f"<m{number}@example.org>" for number in numbers}


def crlf(octets):
    """A message as IMAP has it, from a file with either line end."""
    return octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


class LocalMaildir:
    """The client's side of a synchronisation."""

    def __init__(self, path):
        self.path = path

    def make(self):
        for name in ("tmp", "new", "cur"):
            os.makedirs(os.path.join(self.path, name))

    def put(self, numbers, flags="S"):
        for number in numbers:
            with open(os.path.join(self.path, "cur", f"1700000000.M{number}.here:2,{flags}"), "wb") as file:
                file.write(message(number).replace(b"\r\n", b"\n"))

    def files(self):
        """By Message-ID: path and flag letters."""
        found = {}
        for name in ("new", "cur"):
            directory = os.path.join(self.path, name)
            for entry in os.listdir(directory):
                path = os.path.join(directory, entry)
                with open(path, "rb") as file:
                    letters = entry.partition(":2,")[2]
                    found[message_id(file.read())] = (path, set(letters))
        return found

    def flag(self, key, letters):
        path, _ = self.files()[key]
        base = os.path.basename(path).partition(":2,")[0]
        os.rename(path, os.path.join(self.path, "cur", f"{base}:2,{''.join(sorted(letters))}"))

    def remove(self, keys):
        files = self.files()
        for key in keys:
            os.unlink(files[key][0])
