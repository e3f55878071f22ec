"""mutt on a terminal: reads, flags, copies, deletes, sees new mail; over IMAP, and as a second program on the same Maildir."""

import os
import re

from place import HOST, PasswordFile, message, run_on_terminal, write
from scenario import Scenario, crlf, everywhere, expect, ids, message_id


class Mutt(Scenario):
    needs = ("mutt",)

    def configuration(self):
        place = self.place
        tls = "set ssl_force_tls=no\nset ssl_starttls=no" if place.tls is None else (
            f"set ssl_force_tls=yes\nset ssl_starttls=yes\nset certificate_file={place.cert}\n"
            f"set ssl_ca_certificates_file={place.cert}\nset ssl_verify_host=no")
        scheme = "imaps" if place.tls == "implicit" else "imap"
        os.makedirs(place.path("cache"), exist_ok=True)
        return write(place.path("muttrc"), f"""
set folder={scheme}://{HOST}:{place.port}/
set spoolfile=+INBOX
set imap_user="{place.user}"
set imap_pass="{place.password}"
{tls}
set header_cache={place.path('cache')}
set from=test@example.org realname=Test
set confirmcreate=no confirmappend=no delete=yes mark_old=no
set sort=mailbox-order wait_key=no read_inc=0 write_inc=0 net_inc=0
set record="" quit=yes move=no beep=no help=no
set prompt_after=no print=yes prompt_after=no
unset mail_check_stats
""")

    def mutt(self, keys):
        """Runs mutt with these keys typed."""
        arguments = ["mutt", "-n", "-F", self.configuration(), "-e", f'push "{keys}"']
        environment = {**os.environ, "HOME": self.place.directory, "TERM": "vt100", "LC_ALL": "C.UTF-8"}
        return run_on_terminal(*arguments, env=environment)

    def test_reads_flags_copies_and_deletes(self):
        self.append([1000, 1001, 1002, 1003])
        read = self.place.path("read")
        limit = "<limit>~i m{}@<enter><first-entry>"
        keys = (limit.format(1001) + f"<pipe-message>cat > {read}<enter><display-message><exit>"
                + limit.format(1002) + "<flag-message>"
                + limit.format(1003) + "<copy-message>=Archive<enter>"
                + limit.format(1000) + "<delete-message>"
                + "<limit>all<enter><sync-mailbox><exit>")
        self.mutt(keys)
        with open(read, encoding="utf-8") as file:
            self.assertIn("Schöne Grüße, Nummer 1001", file.read())
        there = self.contents()
        self.assertNotIn("<m1000@example.org>", there)
        self.assertIn("\\Seen", there["<m1001@example.org>"][0])
        self.assertIn("\\Flagged", there["<m1002@example.org>"][0])
        archive = self.contents("Archive")
        self.assertEqual(set(archive), {"<m1003@example.org>"})
        self.assertEqual(archive["<m1003@example.org>"][1], crlf(message(1003)))

    def test_keeps_its_cache_valid_from_one_run_to_the_next(self):
        self.append(range(1100, 1120))
        self.mutt("<exit>")
        self.append([1120])
        keys = "<limit>~i m1120@<enter><first-entry><flag-message><limit>all<enter><sync-mailbox><exit>"
        self.mutt(keys)
        self.assertIn("\\Flagged", self.contents()["<m1120@example.org>"][0])

    def test_opens_a_folder_with_a_non_ascii_name(self):
        client = self.place.login()
        client.create("Entw&APw-rfe")
        client.logout()
        self.append([1200], "Entw&APw-rfe")
        keys = "<change-folder>=Entwürfe<enter><first-entry><flag-message><sync-mailbox><exit>"
        self.mutt(keys)
        self.assertIn("\\Flagged", self.contents("Entw&APw-rfe")["<m1200@example.org>"][0])


globals().update(everywhere(Mutt))
del Mutt


class MuttOnMaildir(Scenario):
    """mutt on the files themselves, as its user on the server has it, while a session of imapd has them open."""

    needs = ("mutt",)
    place_type = PasswordFile

    def mutt(self, keys):
        configuration = write(self.place.path("muttrc"), f"""
set folder={self.place.maildir} spoolfile={self.place.maildir} mbox_type=Maildir
set from=test@example.org realname=Test record="" postponed=""
set confirmcreate=no confirmappend=no delete=yes mark_old=no maildir_trash=no
set sort=mailbox-order wait_key=no read_inc=0 write_inc=0 quit=yes move=no beep=no help=no print=yes
""")
        environment = {**os.environ, "HOME": self.place.directory, "TERM": "vt100", "LC_ALL": "C.UTF-8"}
        return run_on_terminal("mutt", "-n", "-F", configuration, "-e", f'push "{keys}"', env=environment)

    def test_reads_what_we_write_and_we_read_what_it_writes(self):
        client = self.place.login()
        expect(client.create("Archive"))
        for number, flags in ((1300, None), (1301, r"(\Seen \Flagged $Label1)"), (1302, r"(\Answered)"), (1303, r"(\Seen)"), (1304, None)):
            expect(client.append("INBOX", flags, None, message(number)))
        self.place.deliver(message(1305), "1700001305.M1P1.mx")
        expect(client.select())
        numbers = {message_id(item[1]): item[0].split()[2] for item in
                   expect(client.fetch("1:*", "(UID BODY.PEEK[HEADER])")) if isinstance(item, tuple)}

        read, answered = self.place.path("read"), self.place.path("answered")
        one = "<limit>~i m{}@<enter><first-entry>"
        self.mutt(f"<limit>~F<enter><first-entry><pipe-message>cat > {read}<enter>"
                  f"<limit>~Q<enter><first-entry><pipe-message>cat > {answered}<enter>"
                  + one.format(1301) + "<clear-flag>!"
                  + one.format(1300) + "<flag-message><set-flag>r"
                  + one.format(1303) + "<delete-message>"
                  + one.format(1304) + "<copy-message>=.Archive<enter>"
                  + one.format(1305) + "<display-message><exit>"
                  + "<limit>all<enter><sync-mailbox><exit>")
        # What we wrote, it read.
        for path, number in ((read, 1301), (answered, 1302)):
            with open(path, "rb") as file:
                self.assertEqual(message_id(file.read()), f"<m{number}@example.org>")
        # What it wrote, the session that was there all the time learns, and nobody gets another UID.
        gone = expect(client.noop()) and client.response("EXPUNGE")[1]
        self.assertEqual(len(gone), 1)
        lines = [item for item in expect(client.fetch("1:*", "(UID FLAGS BODY.PEEK[HEADER])")) if isinstance(item, tuple)]
        self.assertEqual({message_id(item[1]) for item in lines}, ids((1300, 1301, 1302, 1304, 1305)))
        for item in lines:
            self.assertIn(b"UID " + numbers[message_id(item[1])] + b" ", item[0])
        client.logout()
        flags = {key: value[0] for key, value in self.contents().items()}
        self.assertEqual(flags, {"<m1300@example.org>": {"\\Flagged", "\\Answered", "\\Seen"},
                                 "<m1301@example.org>": {"\\Seen", "$Label1"}, "<m1302@example.org>": {"\\Answered"},
                                 "<m1304@example.org>": set(), "<m1305@example.org>": {"\\Seen"}})
        # mutt writes the body's length into the header of what it copies.
        archive = {key: re.sub(rb"(Content-Length|Lines): \d+\r\n", b"", value[1]) for key, value in self.contents("Archive").items()}
        self.assertEqual(archive, {"<m1304@example.org>": crlf(message(1304))})
