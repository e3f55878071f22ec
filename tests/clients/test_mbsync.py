"""mbsync (isync): two-way synchronisation of a thousand messages."""

import os
import re
import shutil

import mbsync
from place import BINARY, Fork, message, run
from scenario import LocalMaildir, Scenario, crlf, everywhere, expect, ids

HERE, THERE = range(500), range(500, 1000)
FOLDER = "Entw&APw-rfe"  # Entwürfe
CHANNEL = f"Patterns INBOX {FOLDER} Neu\nCreate Both\nRemove None"


def without_tuid(octets):
    """mbsync adds this field to what it uploads."""
    return re.sub(rb"^X-TUID: .*\r\n", b"", octets, count=1, flags=re.MULTILINE)


class Mbsync(Scenario):
    needs = ("mbsync",)

    def setUp(self):
        super().setUp()
        self.local = LocalMaildir(os.path.join(self.place.directory, "local", "INBOX"))
        self.local.make()
        os.mkdir(self.place.path("mbsync-state"))

    def configuration(self):
        return mbsync.configuration(self.place, CHANNEL)

    def sync(self):
        return mbsync.sync(self.place, self.configuration())

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
        for name in ("local", "mbsync-state"):
            run("chown", "-R", self.place.user, self.place.path(name))

    def configuration(self):
        empty = self.place.path("imapd.conf")
        # The tree may lie where this user cannot look.
        binary = shutil.copy(BINARY, self.place.path("imapd"))
        tunnel = f"Tunnel \"{binary} --preauth --config {empty} -s maildir\""
        return mbsync.configuration(self.place, CHANNEL, tunnel)

    def sync(self):
        path = self.configuration()
        os.chmod(path, 0o644)
        run("chown", "-R", self.place.user, self.place.path("local"))
        return mbsync.sync(self.place, path, "runuser", "-u", self.place.user, "--", home=self.place.account.home)


del Mbsync
