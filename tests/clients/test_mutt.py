"""mutt on a terminal: reads, flags, copies, deletes, sees new mail."""

import os

from place import HOST, message, run_on_terminal, write
from scenario import Scenario, crlf, everywhere


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
