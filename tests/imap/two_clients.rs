//! What one client does, the other sees.

use crate::on_both_stores;
use crate::support::Response;

on_both_stores! {
    fn an_append_a_flag_and_an_expunge_reach_the_other_client(server) {
        let (mut one, mut two) = (server.connect(), server.connect());
        one.ok("SELECT INBOX");
        two.ok("SELECT INBOX");
        one.append("INBOX", " (\\Seen)", b"Subject: a\r\n\r\nx\r\n");
        one.append("INBOX", "", b"Subject: b\r\n\r\ny\r\n");
        two.ok("NOOP");
        assert_eq!(two.mirror_of_selected().messages.len(), 2);
        two.ok("STORE 1 +FLAGS (\\Deleted)");
        one.ok("NOOP");
        assert!(one.mirror_of_selected().messages[0].flags.as_ref().unwrap().contains(&"\\Deleted".to_owned()));
        one.ok("EXPUNGE");
        assert_eq!(one.mirror_of_selected().messages.len(), 1);
        assert_eq!(two.ok("NOOP").expunged(), [1]);
    }

    fn idle_tells_of_an_append(server) {
        let (mut one, mut two) = (server.connect(), server.connect());
        one.ok("SELECT INBOX");
        let idle = one.idle();
        two.append("INBOX", "", b"Subject: a\r\n\r\nx\r\n");
        one.wait_for(|r| *r == Response::Exists(1));
        one.done(&idle);
    }

    fn a_password_opens_the_mail(server) {
        let mut client = server.connect_before_login();
        client.greeting();
        client.bad("SELECT INBOX");
        client.no("LOGIN test wrong");
        client.ok("LOGIN test test");
        client.ok("SELECT INBOX");
        client.ok("LOGOUT");
        assert!(client.closed().is_empty());
    }
}
