//! OBJECTID (RFC 8474) and SAVEDATE (RFC 8514).

use crate::on_both_stores;
use crate::support::{Answer, Client, Server, Value};
use std::time::{SystemTime, UNIX_EPOCH};

/// The messages of RFC 8474 section 5.3, and one with no message-id at all.
const MESSAGES: [&[u8]; 4] = [
    b"Subject: Message A\r\nMessage-ID: <fake.1521475657.54797@example.com>\r\n\r\nA\r\n",
    b"Subject: Re: Message A\r\nMessage-ID: <fake.1521475657.21213@example.org>\r\n\
      References: <fake.1521475657.54797@example.com>\r\n\r\nB\r\n",
    b"Subject: Message C\r\nMessage-ID: <fake.1521475657.60280@example.com>\r\n\r\nC\r\n",
    b"Subject: Message D\r\n\r\nD\r\n",
];

fn in_inbox(server: &Server) -> Client {
    let mut client = server.connect();
    for message in MESSAGES {
        client.append("INBOX", " \"20-Mar-2018 12:07:37 +0000\"", message);
    }
    client.ok("SELECT INBOX");
    client
}

fn text(answer: &Answer, number: u32, item: &str) -> Option<String> {
    match answer.item(number, item) {
        Some(Value::Nil) => None,
        Some(value) => Some(value.text()),
        None => panic!("no {item} of {number} in {answer:?}"),
    }
}

/// Today and its neighbours, so that no midnight can come between the server and us, whatever its zone.
fn day(after: i64) -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    let date = imapd::testing::types::DateTime::utc(seconds + after * 86_400).date();
    let month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    format!("{}-{}-{}", date.day, month[usize::from(date.month) - 1], date.year)
}

on_both_stores! {
    fn a_mailbox_has_one_id_wherever_it_is_told(server) {
        let mut client = server.connect();
        let id = client.ok("CREATE foo").code("MAILBOXID").unwrap().to_owned();
        let other = client.ok("CREATE bar").code("MAILBOXID").unwrap().to_owned();
        assert_ne!(id, other);
        client.no("CREATE foo");
        assert_eq!(client.ok("SELECT foo").code("MAILBOXID"), Some(id.as_str()));
        assert_eq!(client.ok("EXAMINE foo").code("MAILBOXID"), Some(id.as_str()));
        let status = |answer: Answer, name: &str| answer.status_value(name, "MAILBOXID").map(Value::text);
        assert_eq!(status(client.ok("STATUS foo (mailboxid)"), "foo"), Some(id.clone()));
        client.ok("RENAME foo renamed");
        let answer = client.ok("LIST \"\" * RETURN (STATUS (MESSAGES MAILBOXID))");
        assert_eq!(answer.status_value("renamed", "MAILBOXID").map(Value::text), Some(id));
        assert_eq!(answer.status_value("bar", "MAILBOXID").map(Value::text), Some(other));
        assert!(answer.status_value("INBOX", "MAILBOXID").is_some());
    }

    fn answers_have_one_thread_and_each_message_its_id(server) {
        let mut client = in_inbox(server);
        let answer = client.ok("FETCH 1:* (EMAILID THREADID)");
        let id = |number| text(&answer, number, "EMAILID").unwrap();
        let thread = |number| text(&answer, number, "THREADID");
        assert_eq!(thread(1), thread(2));
        assert_ne!(thread(1), thread(3));
        assert_eq!(thread(4), None);
        let mut all: Vec<String> = (1..=4).map(id).chain([1, 3].map(|n| thread(n).unwrap())).collect();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 6, "{all:?}");
        assert_eq!(client.ok(&format!("SEARCH EMAILID {}", id(3))).found(), [3]);
        assert_eq!(client.ok(&format!("SEARCH NOT EMAILID {}", id(3))).found(), [1, 2, 4]);
        assert_eq!(client.ok(&format!("UID SEARCH THREADID {}", thread(1).unwrap())).found(), [1, 2]);
        assert_eq!(client.ok(&format!("SEARCH THREADID {} SUBJECT Re", thread(1).unwrap())).found(), [2]);
        assert_eq!(client.ok(&format!("SEARCH THREADID {}", thread(1).unwrap().to_lowercase())).found(), [0; 0]);
        assert_eq!(client.ok("SEARCH EMAILID NIL").found(), [0; 0]);
        for wrong in ["SEARCH EMAILID", "SEARCH EMAILID (x)", "SEARCH THREADID \"x\"", "SEARCH THREADID a.b"] {
            client.bad(wrong);
        }
    }

    fn ids_go_with_the_message(server) {
        let mut client = in_inbox(server);
        client.ok("CREATE foo");
        let before = client.ok("UID FETCH 1:* (EMAILID THREADID)");
        client.ok("COPY 1:2 foo");
        client.ok("MOVE 2,4 foo");
        let left = client.ok("FETCH 1:* (EMAILID THREADID)");
        assert_eq!(text(&left, 2, "EMAILID"), text(&before, 3, "EMAILID"));
        client.ok("SELECT foo");
        let there = client.ok("FETCH 1:* (EMAILID THREADID)");
        for (number, source) in [(1, 1), (2, 2), (3, 2), (4, 4)] {
            for item in ["EMAILID", "THREADID"] {
                assert_eq!(text(&there, number, item), text(&before, source, item), "{item} of {number}");
            }
        }
    }

    fn every_message_has_a_save_date_or_nil(server) {
        let mut client = in_inbox(server);
        let answer = client.ok("UID FETCH 1:* (SAVEDATE INTERNALDATE)");
        assert_eq!(answer.fetches().len(), 4);
        assert!((1..=4).all(|number| answer.item(number, "SAVEDATE").is_some()));
        assert_eq!(client.ok("SEARCH SAVEDATESUPPORTED").found(), [1, 2, 3, 4]);
        assert_eq!(client.ok("SEARCH NOT SAVEDATESUPPORTED").found(), [0; 0]);
        for wrong in ["SEARCH SAVEDON", "SEARCH SAVEDON today", "SEARCH SAVEDATESUPPORTED 1-Jan-2000 x"] {
            client.bad(wrong);
        }
    }
}

on_both_stores! {
    fn messages_are_found_by_when_they_came_here(server) {
        let mut client = in_inbox(server);
        let (yesterday, tomorrow) = (day(-2), day(2));
        assert_eq!(client.ok(&format!("SEARCH SAVEDSINCE {yesterday}")).found(), [1, 2, 3, 4]);
        assert_eq!(client.ok(&format!("SEARCH SAVEDSINCE {tomorrow}")).found(), [0; 0]);
        assert_eq!(client.ok(&format!("SEARCH SAVEDBEFORE {tomorrow} SUBJECT C")).found(), [3]);
        assert_eq!(client.ok(&format!("SEARCH SAVEDBEFORE {yesterday}")).found(), [0; 0]);
        assert_eq!(client.ok("SEARCH SAVEDON 20-Mar-2018").found(), [0; 0]);
        assert_eq!(client.ok("SEARCH ON 20-Mar-2018").found(), [1, 2, 3, 4]);
        let days = [day(-1), day(0), day(1)].map(|day| format!("SAVEDON {day}"));
        assert_eq!(client.ok(&format!("SEARCH OR {} OR {} {}", days[0], days[1], days[2])).found(), [1, 2, 3, 4]);
        let answer = client.ok("FETCH 1 SAVEDATE");
        assert_ne!(text(&answer, 1, "SAVEDATE").as_deref(), Some("20-Mar-2018 12:07:37 +0000"));
    }
}
