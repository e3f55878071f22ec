"""Python's imaplib and PyPI's IMAPClient: what programs and webmail do."""

import datetime
import imaplib
import time

from place import HOST, message
from scenario import Scenario, crlf, everywhere, expect, message_id

try:
    import imapclient
except ImportError:
    imapclient = None

NAMES = ["Entwürfe", "日本語/受信", "R&D", "Ελληνικά", "a b \"c\" d", "per%cent"]


class Imaplib(Scenario):
    def test_selects_searches_fetches_stores_copies_and_expunges(self):
        self.append(range(10))
        client = self.place.login()
        count = int(expect(client.select())[0])
        first = expect(client.search(None, "SUBJECT", "plain"))[0].split()
        self.assertGreaterEqual(len(first), 2)
        octets = expect(client.fetch(str(count), "(RFC822.SIZE BODY.PEEK[])"))
        self.assertEqual(octets[0][1], message(9))
        self.assertIn(b"RFC822.SIZE %d " % len(message(9)), octets[0][0])
        expect(client.store(f"{count - 9}:{count}", "+FLAGS", r"(\Deleted $Label1)"))
        expect(client.create("Kept"))
        expect(client.copy(f"{count - 9}:{count}", "Kept"))
        gone = expect(client.expunge())
        self.assertEqual(len(gone), 10)
        self.assertEqual(int(expect(client.select("Kept"))[0]), 10)
        expect(client.close())
        expect(client.rename("Kept", "Old/below"))
        expect(client.delete("Old/below"))
        expect(client.noop())
        self.assertEqual(client.logout()[0], "BYE")

    def test_says_what_it_wants_of_status_and_headers(self):
        self.append([1, 4])
        client = self.place.login()
        status = expect(client.status("INBOX", "(MESSAGES UNSEEN UIDNEXT UIDVALIDITY RECENT)"))[0]
        for item in (b"MESSAGES", b"UNSEEN", b"UIDNEXT", b"UIDVALIDITY", b"RECENT"):
            self.assertIn(item, status)
        expect(client.select(readonly=True))
        found = expect(client.uid("FETCH", "*", "(UID FLAGS INTERNALDATE BODY.PEEK[HEADER.FIELDS (SUBJECT)] BODYSTRUCTURE ENVELOPE)"))
        self.assertIn(b"long line 4", b"".join(part for item in found if isinstance(item, tuple) for part in item))
        client.logout()

    def test_appends_with_flags_and_date(self):
        client = self.place.login()
        when = '"11-Feb-2020 03:04:05 +0100"'
        expect(client.append("INBOX", r"(\Seen \Draft)", when, message(3)))
        expect(client.select())
        line = expect(client.fetch("*", "(FLAGS INTERNALDATE)"))[0]
        # The moment; a Maildir has no place for the zone.
        self.assertEqual(imaplib.Internaldate2tuple(line), imaplib.Internaldate2tuple(f"INTERNALDATE {when}".encode()))
        self.assertIn(b"\\Seen", line)
        self.assertIn(b"\\Draft", line)
        client.logout()


class Imapclient(Scenario):
    def setUp(self):
        if imapclient is None:
            self.cannot("IMAPClient is not installed")
        super().setUp()

    def client(self):
        place = self.place
        context = place.trust() if place.tls else None
        client = imapclient.IMAPClient(HOST, place.port, ssl=place.tls == "implicit", ssl_context=context, timeout=30)
        if place.tls == "starttls":
            client.starttls(context)
        client.login(place.user, place.password)
        self.addCleanup(self.close, client)
        return client

    @staticmethod
    def close(client):
        try:
            client.logout()
        except (OSError, imaplib.IMAP4.error):
            pass

    def test_selects_searches_fetches_and_stores(self):
        client = self.client()
        for number in range(20):
            client.append("INBOX", message(number), flags=[imapclient.SEEN] if number % 2 else [],
                          msg_time=datetime.datetime(2026, 3, 2, 10, number))
        selected = client.select_folder("INBOX")
        self.assertGreaterEqual(selected[b"EXISTS"], 20)
        self.assertIn(b"UIDVALIDITY", selected)
        found = client.search(["FROM", "sender1", "SINCE", datetime.date(2020, 1, 1)])
        self.assertEqual(len(found), 11)  # 1 and 10..19
        umlaut = client.search(["SUBJECT", "Grüße", "FROM", "sender"], charset="UTF-8")
        self.assertEqual(len(umlaut), 4)
        data = client.fetch(found, ["ENVELOPE", "BODYSTRUCTURE", "RFC822.SIZE", "INTERNALDATE", "BODY.PEEK[]", "FLAGS"])
        for item in data.values():
            self.assertEqual(item[b"RFC822.SIZE"], len(item[b"BODY[]"]))
            self.assertEqual(item[b"ENVELOPE"].message_id.decode(), message_id(item[b"BODY[]"]))
            self.assertEqual(item[b"BODYSTRUCTURE"].is_multipart, b"multipart" in item[b"BODY[]"])
        added = client.add_flags(found, [imapclient.FLAGGED, "$Work"])
        for flags in added.values():
            self.assertLessEqual({imapclient.FLAGGED, b"$Work"}, set(flags))
        self.assertEqual(client.search(["KEYWORD", "$Work"]), found)
        client.remove_flags(found, ["$Work"])
        self.assertEqual(client.search(["KEYWORD", "$Work"]), [])

    def test_copies_moves_and_expunges(self):
        self.append(range(12))
        client = self.client()
        client.select_folder("INBOX")
        mine = client.search(["HEADER", "Message-ID", "example.org", "SUBJECT", "plain"])
        all_before = client.search()
        client.create_folder("Copies/new")
        client.copy(mine, "Copies/new")
        self.assertEqual(client.folder_status("Copies/new", ["MESSAGES"])[b"MESSAGES"], len(mine))
        self.assertTrue(client.has_capability("MOVE"))
        client.move(mine, "Copies/new")
        self.assertEqual(client.search(), [uid for uid in all_before if uid not in mine])
        rest = client.search()
        client.delete_messages(rest[:2])
        client.expunge(rest[:1])  # UID EXPUNGE: the other stays
        self.assertEqual(client.search(), rest[1:])
        client.expunge()
        self.assertEqual(client.search(), rest[2:])

    def test_makes_lists_renames_and_deletes_folders_with_any_name(self):
        client = self.client()
        for name in NAMES:
            client.create_folder(name)
            client.subscribe_folder(name)
        listed = {name for _, delimiter, name in client.list_folders()}
        self.assertLessEqual(set(NAMES), listed)
        self.assertLessEqual(set(NAMES), {name for _, _, name in client.list_sub_folders()})
        for name in NAMES:
            client.append(name, message(1))
            self.assertEqual(client.select_folder(name)[b"EXISTS"], 1)
            client.unselect_folder() if client.has_capability("UNSELECT") else client.close_folder()
        for name in NAMES:
            client.rename_folder(name, f"neu-{name}")
            client.unsubscribe_folder(name)
            client.delete_folder(f"neu-{name}")
        self.assertFalse(set(NAMES) & {name for _, _, name in client.list_folders()})

    def test_idle_sees_mail_flags_and_expunges_of_another_client(self):
        client = self.client()
        other = self.client()
        client.select_folder("INBOX")
        client.idle()
        other.append("INBOX", message(1))
        self.until(client, lambda seen: b"EXISTS" in [item[1] for item in seen])
        other.select_folder("INBOX")
        uid = other.search()[-1]
        other.add_flags([uid], [imapclient.FLAGGED])
        self.until(client, lambda seen: any(item[1] == b"FETCH" and imapclient.FLAGGED in str(item).encode() for item in seen))
        other.delete_messages([uid])
        other.expunge([uid])
        self.until(client, lambda seen: b"EXPUNGE" in [item[1] for item in seen])
        client.idle_done()
        client.noop()

    def until(self, client, condition, seconds=15):
        seen = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            seen += [item for item in client.idle_check(timeout=1) if isinstance(item, tuple) and len(item) > 1]
            if condition(seen):
                return
        self.fail(f"in {seconds} s IDLE told only {seen}")

    def test_idle_sees_a_delivery(self):
        if self.place.maildir is None:
            return  # mail in memory has no door for a delivery agent
        client = self.client()
        client.select_folder("INBOX")
        client.idle()
        self.place.deliver(message(1), "1700000001.M1.mta")
        start = time.monotonic()
        self.until(client, lambda seen: b"EXISTS" in [item[1] for item in seen])
        self.assertLess(time.monotonic() - start, 3)
        client.idle_done()
        self.assertEqual(client.search(["UNSEEN"]), client.search())
        self.assertEqual(client.fetch(client.search(), ["BODY.PEEK[]"]).popitem()[1][b"BODY[]"], crlf(message(1)))

    def test_knows_the_namespace_and_identifies_itself(self):
        client = self.client()
        self.assertEqual(client.namespace().personal[0][0], "")
        self.assertTrue(client.id_({"name": "tests"}))
        self.assertIn(b"IMAP4REV1", [capability.upper() for capability in client.capabilities()])


globals().update(everywhere(Imaplib))
globals().update(everywhere(Imapclient))
del Imaplib, Imapclient
