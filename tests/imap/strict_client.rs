//! The client of these suites refuses what the RFCs do not allow.

use crate::support::{Client, Value};
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A client to which the server says just this, and closes.
fn told(server: &[u8]) -> Client {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    theirs.write_all(server).unwrap();
    // Reads end there; what the client writes goes nowhere, and it need not know.
    theirs.shutdown(std::net::Shutdown::Write).unwrap();
    std::mem::forget(theirs);
    Client::new(ours)
}

const SELECTED: &[u8] = b"* FLAGS (\\Seen)\r\n* 3 EXISTS\r\n* 0 RECENT\r\n* OK [PERMANENTFLAGS (\\Seen \\*)] some\r\n\
    * OK [UIDVALIDITY 7] is\r\n* OK [UIDNEXT 9] next\r\nt1 OK [READ-WRITE] done\r\n";

/// What happens when the server says this during the command that follows SELECT.
fn after_select(command: &str, server: &[u8]) -> bool {
    let mut client = told(&[SELECTED, server, b"t2 OK done\r\n"].concat());
    client.ok("SELECT INBOX");
    catch_unwind(AssertUnwindSafe(|| drop(client.ok(command)))).is_ok()
}

#[test]
fn what_is_allowed_is_taken() {
    for good in [
        &b"* 4 EXISTS\r\n* 1 RECENT\r\n"[..],
        b"* 1 FETCH (FLAGS (\\Seen $Junk) UID 4)\r\n",
        b"* 1 FETCH (BODY[1.HEADER.FIELDS (TO \"X\")]<0> {3}\r\na\r\n BINARY[1] ~{1}\r\n\0)\r\n",
        b"* 1 FETCH (INTERNALDATE \" 1-Jan-2026 00:00:00 +0000\" RFC822.SIZE 4)\r\n",
        b"* 1 FETCH (BODY (\"TEXT\" \"PLAIN\" (\"CHARSET\" \"utf-8\") NIL NIL \"7BIT\" 2 1))\r\n",
        b"* 1 FETCH (BODY ((\"TEXT\" \"PLAIN\" NIL NIL NIL \"7BIT\" 2 1)(\"A\" \"B\" NIL NIL NIL \"7BIT\" 2) \"MIXED\"))\r\n",
        b"* 1 FETCH (ENVELOPE (NIL \"s\" ((NIL NIL \"a\" \"b\")) NIL NIL ((NIL NIL \"g\" NIL)(NIL NIL NIL NIL)) NIL NIL NIL NIL))\r\n",
        b"* LIST (\\HasNoChildren) \"/\" \"a &AOQ- b\"\r\n",
        b"* STATUS {5}\r\nINBOX (MESSAGES 3 SIZE 99999999999)\r\n",
        b"* SEARCH\r\n* SEARCH 1 2\r\n",
        b"* ESEARCH (TAG \"t2\") UID COUNT 2 ALL 1,3:5\r\n",
        b"* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n* ID (\"name\" \"x\" \"version\" NIL)\r\n",
    ] {
        assert!(after_select("NOOP", good), "{:?}", String::from_utf8_lossy(good));
    }
    assert!(after_select("UID FETCH 1 FLAGS", b"* 3 EXPUNGE\r\n"));
}

#[test]
fn what_is_not_allowed_is_refused() {
    for bad in [
        &b"* 2 EXISTS\r\n"[..],
        b"* 4 EXPUNGE\r\n",
        b"* 0 EXPUNGE\r\n",
        b"* 4 FETCH (FLAGS ())\r\n",
        b"* 1 FETCH (UID 5)\r\n* 2 FETCH (UID 4)\r\n",
        b"* 1 FETCH (UID 5)\r\n* 1 FETCH (UID 6)\r\n",
        b"* 1 FETCH ()\r\n",
        b"* 1 FETCH (FLAGS (\\Seen \\Seen))\r\n",
        b"* 1 FETCH (BODY[] {1}\r\n\0)\r\n",
        b"* 1 FETCH (BODY[] ~{1}\r\nx)\r\n",
        b"* 1 FETCH (BODY[] {1+}\r\nx)\r\n",
        b"* 1 FETCH (BODY[MIME] \"\")\r\n",
        b"* 1 FETCH (BODY[0] \"\")\r\n",
        b"* 1 FETCH (INTERNALDATE \"1-Jan-2026 00:00:00 +0000\")\r\n",
        b"* 1 FETCH (BODY (\"TEXT\" \"PLAIN\" NIL NIL NIL \"7BIT\" 2))\r\n",
        b"* 1 FETCH (BODYSTRUCTURE (\"A\" \"B\" NIL NIL NIL \"7BIT\" 2))\r\n",
        b"* 1 FETCH (ENVELOPE (NIL NIL NIL NIL NIL NIL NIL NIL NIL))\r\n",
        b"* 1 FETCH (ENVELOPE (NIL NIL () NIL NIL NIL NIL NIL NIL NIL))\r\n",
        b"* LIST () \"/\" inbox\r\n",
        b"* LIST () \"/\" \"\xc3\xa4\"\r\n",
        b"* LIST () \"/\" \"a&b\"\r\n",
        b"* LIST (\\HasChildren \\HasNoChildren) \"/\" a\r\n",
        b"* STATUS INBOX (UIDNEXT 0)\r\n",
        b"* SEARCH 0\r\n",
        b"* SEARCH 1 \r\n",
        b"* OK [FROB] x\r\n",
        b"* OK \r\n",
        b"* OK x\n",
        b"* FROB\r\n",
        b"*  OK x\r\n",
        b"t1 OK x\r\n",
    ] {
        assert!(!after_select("NOOP", bad), "{:?}", String::from_utf8_lossy(bad));
    }
    for command in ["FETCH 1 FLAGS", "STORE 1 FLAGS ()", "SEARCH ALL"] {
        assert!(!after_select(command, b"* 1 EXPUNGE\r\n"), "{command}");
    }
}

#[test]
fn values_compare_as_text() {
    let mut client = told(
        &[SELECTED, b"* 1 FETCH (BODY (\"TEXT\" {5}\r\nPLAIN NIL NIL NIL \"7BIT\" 2 1))\r\nt2 OK done\r\n"].concat(),
    );
    client.ok("SELECT INBOX");
    let answer = client.ok("FETCH 1 BODY");
    assert_eq!(format!("{:?}", answer.item(1, "BODY").unwrap()), r#"("TEXT" "PLAIN" NIL NIL NIL "7BIT" 2 1)"#);
    assert_eq!(Value::Atom("12".into()).number(), 12);
}
