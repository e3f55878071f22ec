"""openssl s_client: TLS as an administrator looks at it."""

import signal

from place import HOST, Fork, PasswordFile, run, wait_for
from scenario import Scenario


class ByStartTls(Scenario):
    place_type = PasswordFile
    needs = ("openssl",)
    options = ("-starttls", "imap")

    def s_client(self, commands, *options, status=0):
        place = self.place
        return run("openssl", "s_client", "-connect", f"{HOST}:{place.port}", "-CAfile", place.cert, "-verify_return_error",
                   "-servername", "localhost", "-verify_hostname", "localhost", "-crlf", "-ign_eof", *self.options,
                   *options, input=commands.encode(), status=status, timeout=30)

    def test_speaks_tls_1_2_and_1_3(self):
        for version in ("-tls1_2", "-tls1_3"):
            seen = self.s_client(f'a login {self.place.user} "{self.place.password}"\nb select inbox\nc logout\n', version)
            self.assertIn("Verification: OK", seen)
            self.assertIn("a OK", seen)
            self.assertIn("b OK", seen)
            self.assertIn("* BYE", seen)
            self.assertIn("c OK", seen)

    def test_refuses_what_is_older(self):
        seen = self.s_client("a logout\n", "-tls1_1", "-cipher", "DEFAULT:@SECLEVEL=0", status=None)
        self.assertNotIn("a OK", seen)

    def test_chooses_imap_by_alpn(self):
        self.assertIn("ALPN protocol: imap", self.s_client("a logout\n", "-alpn", "imap"))


class ByImplicitTls(ByStartTls):
    place_type = Fork
    options = ()

    def test_greets_after_the_handshake(self):
        self.assertIn("* OK", self.s_client("a logout\n"))

    def test_takes_the_new_certificate_when_the_files_change(self):
        place = self.place
        before = self.certificate()
        place.make_certificate()
        place.process.send_signal(signal.SIGHUP)
        wait_for("the new certificate", lambda: self.certificate() != before)
        self.assertIn("Verification: OK", self.s_client("a logout\n"))

    def certificate(self):
        seen = run("openssl", "s_client", "-connect", f"{HOST}:{self.place.port}", input=b"", status=None)
        return seen[seen.find("-----BEGIN"):seen.find("-----END")]
