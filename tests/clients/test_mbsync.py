"""mbsync (isync): two-way synchronisation of a thousand messages."""

import os
import re
import shutil

from place import BINARY, Fork, message, run, run_on_terminal, write
from scenario import LocalMaildir, Scenario, crlf, everywhere, expect, ids

HERE, THERE = range(500), range(500, 1000)
FOLDER = "Entw&APw-rfe"  # Entwürfe


def without_tuid(octets):
    """mbsync adds this field to what it uploads."""
    return re.sub(rb"^X-TUID: .*\r\n", b"", octets, count=1, flags=re.MULTILINE)


class Mbsync(Scenario):
    needs = ("mbsync",)

    def setUp(self):
        super().setUp()
        self.local = LocalMaildir(os.path.join(self.place.directory, "local", "INBOX"))
        self.local.make()
        os.mkdir(self.place.path("state"))

    def account(self):
        place = self.place
        ssl = {"implicit": f"SSLType IMAPS\nCertificateFile {place.cert}",
               "starttls": f"SSLType STARTTLS\nCertificateFile {place.cert}",
               None: "SSLType None\nAuthMechs LOGIN"}[place.tls]
        return f"Host localhost\nPort {place.port}\nUser {place.user}\nPass \"{place.password}\"\n{ssl}"

    def configuration(self):
        return write(self.place.path("mbsyncrc"), f"""
IMAPAccount server
{self.account()}
Timeout 60

IMAPStore far
Account server

MaildirStore near
Path {self.place.path('local')}/
Inbox {self.place.path('local')}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns INBOX {FOLDER} Neu
Create Both
Expunge Both
Remove None
Sync All
SyncState {self.place.path('state')}/
""")

    def sync(self):
        """Runs mbsync; what it did to each side, as (added, flagged, removed)."""
        return self.done(run_on_terminal("mbsync", "-c", self.configuration(), "all", seconds=240,
                                         env={**os.environ, "HOME": self.place.directory, "TERM": "vt100"}))

    def done(self, output):
        """The last state of its counters: added, flags changed and removed, far and near."""
        done = re.findall(r"[FM]: \+(\d+)/\d+ \*(\d+)/\d+ #(\d+)/\d+ +[NS]: \+(\d+)/\d+ \*(\d+)/\d+ #(\d+)/\d+", output)
        self.assertTrue(done, output)
        return [int(number) for number in done[-1]]

    def test_syncs_both_ways_and_then_has_nothing_to_do(self):
        self.local.put(HERE)
        self.append(THERE)
        before = len(self.contents()) - len(THERE)  # the demonstration has messages of its own

        self.assertEqual(self.sync(), [500, 0, 0, 500 + before, 0, 0])
        self.assertEqual(self.sync(), [0, 0, 0, 0, 0, 0], "the second run has nothing to do")

        there = self.contents()
        here = self.local.files()
        self.assertEqual(set(there), set(here))
        self.assertLessEqual(ids(range(1000)), set(there))
        for number in range(0, 1000, 7):
            key = f"<m{number}@example.org>"
            self.assertEqual(without_tuid(there[key][1]), crlf(message(number)))
            with open(here[key][0], "rb") as file:
                self.assertEqual(without_tuid(crlf(file.read())), crlf(message(number)))

        # Flags both ways.
        for number in range(0, 20):
            self.local.flag(f"<m{number}@example.org>", "FRS")
        client = self.place.login()
        expect(client.select())
        for number in range(500, 520):
            found = expect(client.uid("SEARCH", None, "HEADER", "Message-ID", f"<m{number}@example.org>"))[0].decode()
            expect(client.uid("STORE", found, "+FLAGS.SILENT", r"(\Answered \Flagged)"))
        # Deletions both ways.
        for number in range(980, 1000):
            found = expect(client.uid("SEARCH", None, "HEADER", "Message-ID", f"<m{number}@example.org>"))[0].decode()
            expect(client.uid("STORE", found, "+FLAGS.SILENT", r"(\Deleted)"))
        expect(client.expunge())
        client.logout()
        self.local.remove(ids(range(100, 110)))
        for number in range(110, 120):
            self.local.flag(f"<m{number}@example.org>", "ST")

        self.sync()
        there, here = self.contents(), self.local.files()
        gone = ids(range(980, 1000)) | ids(range(100, 120))
        self.assertEqual(set(there), set(here))
        self.assertFalse(gone & set(there))
        self.assertLessEqual(ids(range(1000)) - gone, set(there))
        for number in range(0, 20):
            self.assertEqual(there[f"<m{number}@example.org>"][0], {"\\Seen", "\\Flagged", "\\Answered"})
        for number in range(500, 520):
            self.assertLessEqual({"F", "R"}, here[f"<m{number}@example.org>"][1])
        self.assertEqual(self.sync(), [0, 0, 0, 0, 0, 0], "all is settled")

    def test_makes_folders_on_both_sides(self):
        folder = LocalMaildir(os.path.join(self.place.directory, "local", FOLDER))
        folder.make()
        folder.put(range(5))
        client = self.place.login()
        expect(client.create("Neu"))
        client.logout()
        self.append(range(5, 8), "Neu")
        self.sync()
        self.assertEqual(set(self.contents(FOLDER)), ids(range(5)))
        self.assertEqual(set(LocalMaildir(self.place.path("local/Neu")).files()), ids(range(5, 8)))
        self.assertEqual(self.sync(), [0, 0, 0, 0, 0, 0])


globals().update(everywhere(Mbsync))


class MbsyncTunnel(Mbsync):
    """No login and no network: mbsync starts `imapd --preauth` itself, as over ssh."""

    place_type = Fork

    def setUp(self):
        super().setUp()
        # All belongs to the user, who runs mbsync himself.
        for name in ("local", "state"):
            run("chown", "-R", self.place.user, self.place.path(name))

    def account(self):
        empty = self.place.path("imapd.conf")
        # The tree may lie where this user cannot look.
        binary = shutil.copy(BINARY, self.place.path("imapd"))
        return f"Tunnel \"{binary} --preauth --config {empty} -s maildir\""

    def sync(self):
        path = self.configuration()
        os.chmod(path, 0o644)
        run("chown", "-R", self.place.user, self.place.path("local"))
        environment = {**os.environ, "HOME": self.place.account.home, "USER": self.place.user, "TERM": "vt100"}
        return self.done(run_on_terminal("runuser", "-u", self.place.user, "--", "mbsync", "-c", path, "all", seconds=240,
                                         env=environment))


del Mbsync
