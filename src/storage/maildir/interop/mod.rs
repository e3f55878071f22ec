//! Files of other servers that share or shared the Maildir: read as they wrote them, written as they read them.

pub mod courier_keywords;
pub mod courier_subscribed;
pub mod courier_uiddb;
pub mod dovecot_keywords;
pub mod dovecot_subscriptions;
pub mod dovecot_uidlist;
pub mod dovecot_uidvalidity;
pub mod lines;
