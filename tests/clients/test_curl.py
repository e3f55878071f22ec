"""curl: one command a run."""

from place import HOST, message, run
from scenario import Scenario, crlf, everywhere


class Curl(Scenario):
    needs = ("curl",)

    def curl(self, path, *arguments, status=0, trusting=True):
        place = self.place
        options = []
        if place.tls and trusting:
            options = ["--cacert", place.cert] + (["--ssl-reqd"] if place.tls == "starttls" else [])
        scheme = "imaps" if place.tls == "implicit" else "imap"
        return run("curl", "-sS", "--max-time", "30", *options, *arguments, "--user", f"{place.user}:{place.password}",
                   f"{scheme}://{HOST}:{place.port}/{path}", status=status)

    def uid(self, number, folder="INBOX"):
        found = self.curl(f"{folder}?HEADER%20Message-ID%20m{number}@example.org")
        self.assertTrue(found.startswith("* SEARCH "), found)
        return int(found.split()[2])

    def test_uploads_finds_and_fetches(self):
        for number in range(5):
            file = self.place.path("message")
            with open(file, "wb") as out:
                out.write(message(number))
            self.curl("INBOX", "-T", file)
        for number in range(5):
            with open(self.place.path("got"), "wb"):
                pass
            self.curl(f"INBOX;UID={self.uid(number)}", "-o", self.place.path("got"))
            with open(self.place.path("got"), "rb") as got:
                self.assertEqual(got.read(), crlf(message(number)))

    def test_fetches_a_section(self):
        self.append([2])
        uid = self.uid(2)
        self.assertEqual(self.curl(f"INBOX;UID={uid};SECTION=1").strip(), "part one")
        header = self.curl(f"INBOX;UID={uid};SECTION=HEADER.FIELDS%20(Subject)")
        self.assertEqual(header.strip(), "Subject: parts 2")

    def test_lists_and_examines(self):
        self.assertIn("INBOX", self.curl("", "-X", 'LIST "" "*"'))
        self.append([7])
        self.assertIn("EXISTS", self.curl("", "-X", "EXAMINE INBOX"))
        self.assertIn("MESSAGES", self.curl("", "-X", "STATUS INBOX (MESSAGES UIDNEXT)"))
        self.curl("", "-X", "CREATE Entw&APw-rfe")
        self.assertIn("Entw&APw-rfe", self.curl("", "-X", 'LIST "" "Entw*"'))
        self.curl("INBOX", "-X", rf"STORE 1:* +FLAGS.SILENT (\Flagged)")
        self.assertIn("\\Flagged", self.contents()["<m7@example.org>"][0])

    def test_is_told_of_a_wrong_password(self):
        place = self.place
        right, place.password = place.password, "wrong"
        self.curl("INBOX", status=67)  # CURLE_LOGIN_DENIED
        place.password = right
        self.curl("INBOX")

    def test_refuses_a_certificate_that_it_does_not_trust(self):
        if self.place.tls:
            self.curl("INBOX", "--ssl-reqd", trusting=False, status=60)  # CURLE_PEER_FAILED_VERIFICATION
            self.curl("INBOX")

    def test_is_told_of_a_missing_folder(self):
        self.assertIn("Select failed", self.curl("Nowhere;UID=1", status=67))


globals().update(everywhere(Curl))
del Curl
