"""offlineimap: two-way synchronisation, twice, with flags and deletions."""

import os

from place import HOST, run, write
from scenario import LocalMaildir, Scenario, everywhere, expect, ids


class Offlineimap(Scenario):
    needs = ("offlineimap",)

    def sync(self):
        place = self.place
        ssl = {"implicit": f"ssl = yes\nsslcacertfile = {place.cert}",
               "starttls": f"ssl = no\nstarttls = yes\nsslcacertfile = {place.cert}",
               None: "ssl = no\nstarttls = no"}[place.tls]
        configuration = write(place.path("offlineimaprc"), f"""
[general]
accounts = one
metadata = {place.path('metadata')}
socktimeout = 60

[Account one]
localrepository = near
remoterepository = far

[Repository near]
type = Maildir
localfolders = {place.path('local')}
utime_from_header = no

[Repository far]
type = IMAP
remotehost = localhost
remoteport = {place.port}
remoteuser = {place.user}
remotepass = {place.password}
auth_mechanisms = PLAIN, LOGIN
{ssl}
folderfilter = lambda name: name in ['INBOX', 'Entw&APw-rfe']
""")
        return run("offlineimap", "-c", configuration, "-o", "-u", "basic", timeout=200,
                   env={**os.environ, "HOME": place.directory, "LC_ALL": "C.UTF-8"})

    def local(self, folder="INBOX"):
        return LocalMaildir(os.path.join(self.place.path("local"), folder))

    def test_syncs_both_ways_and_then_has_nothing_to_do(self):
        self.append(range(60))
        client = self.place.login()
        expect(client.create("Entw&APw-rfe"))
        client.logout()
        self.append(range(100, 105), "Entw&APw-rfe")
        first = self.sync()
        self.assertLessEqual(ids(range(60)), set(self.local().files()), first)
        self.assertEqual(set(self.local("Entw&APw-rfe").files()), ids(range(100, 105)))
        second = self.sync()
        for word in ("Copy message", "Adding flags", "Deleting"):
            self.assertNotIn(word, second)

        self.local().put(range(200, 230))
        for number in range(5):
            self.local().flag(f"<m{number}@example.org>", "FS")
        self.local().remove(ids(range(10, 15)))
        client = self.place.login()
        expect(client.select())
        for number, flags in ((20, r"(\Answered)"), (21, r"(\Deleted)")):
            found = expect(client.uid("SEARCH", None, "HEADER", "Message-ID", f"<m{number}@example.org>"))[0].decode()
            expect(client.uid("STORE", found, "+FLAGS", flags))
        expect(client.expunge())
        client.logout()
        output = self.sync()
        there, here = self.contents(), self.local().files()
        self.assertEqual(set(there), set(here), output)
        self.assertLessEqual(ids(range(200, 230)), set(there))
        self.assertFalse((ids(range(10, 15)) | ids([21])) & set(there))
        for number in range(5):
            self.assertLessEqual({"\\Flagged", "\\Seen"}, there[f"<m{number}@example.org>"][0])
        self.assertIn("R", here["<m20@example.org>"][1])


globals().update(everywhere(Offlineimap))
del Offlineimap
