//! Which names are subscribed.

use crate::mail::*;
use crate::on_both_stores;

on_both_stores! {
    fn subscriptions_keep_their_order_and_need_not_exist(server) {
        let mut store = server.store();
        for text in ["z", "a/none", "INBOX", "Entw\u{fc}rfe", "z"] {
            store.subscribe(&name(text)).unwrap();
        }
        let expected = ["z", "a/none", "INBOX", "Entw\u{fc}rfe"].map(name);
        assert_eq!(server.store().subscriptions().unwrap(), expected);
        store.unsubscribe(&name("a/none")).unwrap();
        store.unsubscribe(&name("never")).unwrap();
        assert_eq!(server.store().subscriptions().unwrap(), ["z", "INBOX", "Entw\u{fc}rfe"].map(name));
    }

    fn mailboxes_come_and_go_without_touching_subscriptions(server) {
        let mut store = server.store();
        store.create(&name("a"), None).unwrap();
        assert!(store.subscriptions().unwrap().is_empty());
        store.subscribe(&name("a")).unwrap();
        store.rename(&name("a"), &name("b")).unwrap();
        store.delete(&name("b")).unwrap();
        assert_eq!(store.subscriptions().unwrap(), [name("a")]);
    }
}
