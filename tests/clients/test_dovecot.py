"""One Maildir under Dovecot and under imapd by turns: no UID, flag, keyword or subscription changes with the server, Dovecot finds nothing
to complain of, and a client that synchronises (mbsync) never has anything to do because of the change."""

import calendar
import hashlib
import imaplib
import os
import re

import mbsync
from place import ACCOUNT_PREFIX, HOST, PASSWORD, Fork, message, run, write
from scenario import LocalMaildir, Scenario, expect

DOVECOT = "/usr/sbin/dovecot"

DRAFTS = "Entw&APw-rfe"  # Entwürfe
JAPANESE = f"{DRAFTS}/&ZeVnLIqe-"  # Entwürfe/日本語
DEEP = "Projekte/R&-D/&ANw-bersicht"  # Projekte/R&D/Übersicht, whose parents are no mailboxes
GREEK = "&A5UDuwO7A7cDvQO5A7oDrA-"  # Ελληνικά
MOVED = f"{GREEK}/verschoben"


class OneMaildir(Fork):
    """An account's Maildir, which imapd and Dovecot serve one after the other, on one port and with one certificate."""

    server = "dovecot"
    storage_names = ""  # how Dovecot is to spell folders on the disk

    def command(self):
        if self.server == "imapd":
            return super().command()
        write(self.path("users"), f"{self.user}:{{PLAIN}}{PASSWORD}:{self.uid}:{self.gid}::{self.account.home}\n", 0o644)
        return [DOVECOT, "-F", "-c", write(self.path("dovecot.conf"), f"""
base_dir = {self.path("run")}
state_dir = {self.path("state")}
instance_name = {ACCOUNT_PREFIX}
log_path = {self.path("dovecot.log")}
protocols = imap
listen = {HOST}
ssl = required
ssl_cert = <{self.cert}
ssl_key = <{self.key}
mail_location = maildir:~/Maildir{self.storage_names}
namespace inbox {{
  inbox = yes
  separator = /
}}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {self.path("users")}
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {self.path("users")}
}}
service imap-login {{
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    port = {self.port}
    ssl = yes
  }}
}}
""", 0o644)]

    def turn(self, server):
        """Ends the one that runs and starts this one."""
        self.end()
        self.server = server
        self.start()

    def logged(self):
        return super().logged() + self.complaints()

    def complaints(self):
        """What Dovecot logged beyond its starting, being ended, and logins."""
        try:
            with open(self.path("dovecot.log"), encoding="utf-8") as log:
                lines = log.read().splitlines()
        except OSError:
            return ""
        ended = re.compile(r"Warning: Killed with signal 15 \(by pid=\d+ uid=0 code=kill\)$")
        return "".join(f"{line}\n" for line in lines if not ended.search(line) and not re.search(r": (Info|Debug): ", line))


class CameFromCourier(OneMaildir):
    """The same with what Courier left; imapd begins."""

    server = "imapd"
    storage_names = ":UTF-8"  # Courier writes folders so

    def prepare(self):
        super().prepare()
        make_courier_maildir(self)


class ByTurns(Scenario):
    needs = ("mbsync",)

    def setUp(self):
        if not os.path.exists(DOVECOT):
            self.cannot("dovecot-imapd is not installed")
        super().setUp()
        for name in ("local", "mbsync-state"):
            os.mkdir(self.place.path(name))

    def snapshot(self):
        """All that a client may remember of an account."""
        client = self.place.login()
        names = sorted(mailbox_names(expect(client.list())))
        found = {"subscriptions": sorted(mailbox_names(expect(client.lsub())))}
        for name in names:
            expect(client.select(quoted(name), readonly=True))
            state = {key: client.response(key)[1][0] for key in ("UIDVALIDITY", "UIDNEXT")}
            lines = expect(client.uid("FETCH", "1:*", "(FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])"))
            state["messages"] = dict(map(remembered, joined(lines)))
            found[name] = state
        client.logout()
        return found

    def sync(self):
        """What `mbsync -a` did, far and near: added, flags changed, removed; the sum over all mailboxes but for those that are renamed,
        which mbsync does not follow."""
        channel = f"Patterns * !{GREEK}* !Umbenannt*\nCreate Near"
        return mbsync.sync(self.place, mbsync.configuration(self.place, channel))

    def begin(self, server, before):
        """The other server's turn: it must show what the last one showed, and mbsync must find nothing to do."""
        self.place.turn(server)
        self.maxDiff = None
        self.assertEqual(before, self.snapshot(), f"left: before, right: under {server}")
        self.assertEqual(self.sync(), [0, 0, 0, 0, 0, 0], f"mbsync has nothing to do because of {server}")


class Turns(ByTurns):
    place_type = OneMaildir

    def finish(self):
        """After the changes of a turn: mbsync takes them over, once."""
        done = self.sync()
        self.assertNotEqual(done, [0, 0, 0, 0, 0, 0])
        self.assertEqual([done[0], done[2]], [0, 0], "mbsync has nothing to add or remove on the server")
        self.assertEqual(self.sync(), [0, 0, 0, 0, 0, 0])
        self.assertEqual(self.place.complaints(), "")
        return self.snapshot()

    def work(self, number):
        """What users do, each time with mail and names of its own: flags, keywords, new mail, copies, moves, folders."""
        client = self.place.login()

        def do(name, *arguments):
            return expect(getattr(client, name)(*arguments))

        new = [f"Neu-{number}", f"Neu-{number}/&AMQ-nderung {number}"]
        for name in new:
            do("create", quoted(name))
            do("subscribe", quoted(name))
        for kind in range(5):
            do("append", DRAFTS, rf"(\Seen $Label{number} Eigenes-{number})", '"11-Feb-2020 03:04:05 +0100"', message(number * 100 + kind))
        do("append", quoted(new[1]), r"(\Draft \Flagged $Forwarded)", None, message(number * 100 + 50))
        self.place.deliver(message(number * 100 + 60), f"17000{number:05}.V801I{number}M5.mx")
        self.place.deliver(message(number * 100 + 61), f"17000{number:05}.H6P{number}.mx")

        do("select", "INBOX")
        everything = do("uid", "SEARCH", "ALL")[0].decode().split()
        first, second, third, fourth, fifth = everything[:5]
        do("uid", "STORE", first, "+FLAGS", rf"(\Flagged \Answered Eigenes-{number})")
        do("uid", "STORE", second, "FLAGS", rf"($Label{number})")
        do("uid", "STORE", everything[-1], "-FLAGS", r"(\Seen)")
        do("uid", "COPY", f"{first},{third}", quoted(new[1]))
        do("uid", "COPY", f"{first}:{third}", JAPANESE)
        do("uid", "MOVE", fourth, DEEP)
        do("uid", "STORE", fifth, "+FLAGS", r"(\Deleted)")
        do("expunge")
        do("close")
        # A folder that is renamed, with one below it, and back at the next turn.
        old, other = (GREEK, f"Umbenannt/{GREEK}") if number % 2 else (f"Umbenannt/{GREEK}", GREEK)
        do("rename", quoted(old), quoted(other))
        do("subscribe", quoted(other))
        do("unsubscribe", quoted(old))
        do("select", JAPANESE)
        do("uid", "STORE", "1:*", "+FLAGS", r"(\Seen)")
        client.logout()
        self.flag_locally(number)

    def flag_locally(self, number):
        """The user reads a message offline: mbsync has a flag to bring to the server."""
        near = LocalMaildir(self.place.path("local/INBOX"))
        if os.path.isdir(near.path):
            key = f"<m{20 + number}@example.org>"
            near.flag(key, near.files()[key][1] | {"F", "R"})

    def test_nothing_changes_with_the_server(self):
        client = self.place.login()
        for name in (DRAFTS, JAPANESE, DEEP, GREEK, MOVED, "Leer"):
            expect(client.create(quoted(name)))
        for name in ("INBOX", JAPANESE, DEEP, GREEK, "Leer"):
            expect(client.subscribe(quoted(name)))
        for number in range(40):
            flags = [r"(\Seen)", None, r"(\Answered \Seen)", r"(\Flagged NonJunk)", r"($Forwarded $Label5)"][number % 5]
            expect(client.append("INBOX", flags, None, message(number)))
        for number, name in enumerate((DRAFTS, JAPANESE, DEEP, GREEK, MOVED)):
            for message_number in range(40 + number * 5, 45 + number * 5):
                expect(client.append(quoted(name), r"(\Seen $Label1)", None, message(message_number)))
        client.logout()
        self.sync()
        self.work(1)
        before = self.finish()
        for number, server in enumerate(("imapd", "dovecot", "imapd", "dovecot", "imapd"), 2):
            self.begin(server, before)
            self.work(number)
            before = self.finish()
        self.begin("dovecot", before)
        self.assertEqual(self.place.complaints(), "")


class Courier(ByTurns):
    place_type = CameFromCourier

    def test_comes_over_and_may_go_on_to_dovecot(self):
        found = self.snapshot()
        self.assertEqual(found["subscriptions"], sorted(["INBOX", "Sent", DRAFTS]))
        self.assertEqual(set(found), {"subscriptions", "INBOX", "Sent", DRAFTS})
        self.assertEqual((found["INBOX"]["UIDVALIDITY"], found["INBOX"]["UIDNEXT"]), (b"719999999", b"31"))
        flags = {uid: flags for uid, (flags, *_) in found["INBOX"]["messages"].items()}
        self.assertEqual(flags, {7: {"\\Seen"}, 9: {"\\Seen", "$Label1", "Later"}, 12: {"\\Answered"}, 30: {"Later"}})
        self.assertEqual((found[DRAFTS]["UIDVALIDITY"], set(found[DRAFTS]["messages"])), (b"720000001", {3}))
        # What has come without a number gets the next one, in a folder that Courier had not looked at too.
        self.assertEqual(set(found["Sent"]["messages"]), {1})
        self.place.deliver(message(31), "1700000031.M31P1.mx")
        before = self.snapshot()
        self.assertEqual(set(before["INBOX"]["messages"]), {7, 9, 12, 30, 31})
        self.sync()
        for server in ("dovecot", "imapd"):
            self.begin(server, before)
        self.assertEqual(self.place.complaints(), "")


def make_courier_maildir(place):
    """A Maildir as Courier's IMAP server leaves it."""
    root = place.maildir

    def folder(name, messages):
        path = os.path.join(root, name)
        for part in ("tmp", "new", "cur", "courierimapkeywords"):
            os.makedirs(os.path.join(path, part))
        if name:
            write(os.path.join(path, "maildirfolder"), "")
        for number, flags in messages:
            with open(os.path.join(path, "cur", f"{courier_base(number)}:2,{flags}"), "wb") as file:
                file.write(message(number).replace(b"\r\n", b"\n"))
        return path

    inbox = folder("", [(7, "S"), (9, "S"), (12, "R"), (30, "")])
    # Not sorted, and with a message that is no longer there.
    numbers = "".join(f"{number} {courier_base(number)}\n" for number in (9, 7, 12, 30, 29))
    write(os.path.join(inbox, "courierimapuiddb"), f"1 719999999 31\n{numbers}")
    keywords = os.path.join(inbox, "courierimapkeywords")
    write(os.path.join(keywords, ":list"), f"$Label1\nLater\nGone\n\n{courier_base(9)}:0 1\n{courier_base(12)}:2\n{courier_base(30)}:0\n")
    # Later than the list: of several the greatest number counts, and one without a number more than all.
    write(os.path.join(keywords, f".5666.{courier_base(12)}"), "Gone\n")
    write(os.path.join(keywords, f".5667.{courier_base(12)}"), "")
    write(os.path.join(keywords, f".5667.{courier_base(30)}"), "Gone\n")
    write(os.path.join(keywords, courier_base(30)), "Later\n")
    drafts = folder(".Entwürfe", [(3, "D")])
    write(os.path.join(drafts, "courierimapuiddb"), f"1 720000001 4\n3 {courier_base(3)}\n")
    folder(".Sent", [(1, "S")])
    write(os.path.join(root, "courierimapsubscribed"), "INBOX\nINBOX.Sent\nINBOX.Entwürfe\n#shared.elsewhere\n")
    run("chown", "-R", f"{place.uid}:{place.gid}", root)


def courier_base(number):
    size = len(message(number).replace(b"\r\n", b"\n"))
    return f"17000000{number:02}.M{number}P77V00FE01I00{number:02}.mx,S={size}"


def quoted(name):
    return f'"{name}"'


def mailbox_names(lines):
    """Of LIST and LSUB, without those that cannot be selected."""
    for line in lines:
        found = line and re.fullmatch(r"\(([^)]*)\) (?:\"/\"|NIL) (.*)", line.decode())
        if found and not re.search(r"\\(Noselect|NonExistent)", found[1], re.IGNORECASE):
            yield re.sub(r"\\(.)", r"\1", found[2][1:-1]) if found[2].startswith('"') else found[2]


def joined(lines):
    """The parts of each FETCH response: its text without the literal, and the literal."""
    text, octets = b"", None
    for item in lines:
        if isinstance(item, tuple):
            if octets is not None:
                yield text, octets
            text, octets = item
        elif item and octets is not None:
            text += item
    if octets is not None:
        yield text, octets


def remembered(fetched):
    """UID, and what a client keeps of it: flags, time, size, content."""
    text, octets = fetched
    flags = {flag.decode() for flag in imaplib.ParseFlags(text)} - {"\\Recent"}
    size = int(re.search(rb"RFC822\.SIZE (\d+)", text)[1])
    uid = int(re.search(rb"UID (\d+)", text)[1])
    time = calendar.timegm(imaplib.Internaldate2tuple(text)) if b"INTERNALDATE" in text else None
    return uid, (flags, time, size, hashlib.sha256(octets).hexdigest())


del ByTurns
