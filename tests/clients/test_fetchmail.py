"""fetchmail: takes everything away to a delivery program, and finds nothing the second time."""

import os

from place import HOST, message, run, write
from scenario import Scenario, crlf, everywhere, message_id


class Fetchmail(Scenario):
    needs = ("fetchmail",)

    def fetch(self, options, status):
        place = self.place
        ssl = {"implicit": f"ssl sslcertck sslcertfile {place.cert} sslcommonname localhost",
               "starttls": f"sslproto \"TLS1.2+\" sslcertck sslcertfile {place.cert} sslcommonname localhost",
               None: "sslproto \"\""}[place.tls]
        deliver = write(place.path("deliver"), f"#!/bin/sh\nexec cat >\"$(mktemp {place.path('got')}/XXXXXXXX)\"\n", 0o755)
        configuration = write(place.path("fetchmailrc"), f"""
poll {HOST} service {place.port} proto imap auth password
  user "{place.user}" password "{place.password}" is root here
  {options} {ssl}
  no rewrite
  mda "{deliver}"
""")
        os.makedirs(place.path("got"), exist_ok=True)
        return run("fetchmail", "--fetchmailrc", configuration, "--nodetach", "--nosyslog", "--verbose", "--invisible",
                   "--pidfile", place.path("fetchmail.pid"), "--idfile", place.path("ids"), status=status,
                   env={**os.environ, "FETCHMAILHOME": place.directory, "HOME": place.directory, "LC_ALL": "C"})

    def got(self):
        found = {}
        for name in os.listdir(self.place.path("got")):
            with open(os.path.join(self.place.path("got"), name), "rb") as file:
                octets = file.read()
            found[message_id(octets)] = octets
        return found

    def test_fetches_all_and_removes_it(self):
        demonstration = set(self.contents())
        self.append(range(40))
        self.fetch("fetchall nokeep", 0)
        got = self.got()
        self.assertEqual(set(got) - demonstration, {f"<m{number}@example.org>" for number in range(40)})
        for number in range(40):
            body = crlf(message(number)).split(b"\r\n\r\n", 1)[1].rstrip(b"\r\n")
            self.assertIn(body, crlf(got[f"<m{number}@example.org>"]))
        self.assertEqual(self.contents(), {}, "fetchmail removed what it fetched")
        self.fetch("fetchall nokeep", 1)  # 1: there was no mail

    def test_fetches_what_is_unseen_and_keeps_it(self):
        self.append(range(5))
        self.fetch("no fetchall keep", 0)
        self.assertLessEqual({f"<m{number}@example.org>" for number in range(5)}, set(self.got()))
        self.fetch("no fetchall keep", 1)
        self.append([5])
        self.fetch("no fetchall keep", 0)
        self.assertIn("<m5@example.org>", self.got())


globals().update(everywhere(Fetchmail))
del Fetchmail
