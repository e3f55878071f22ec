//! CAPABILITY, NOOP, LOGOUT, ID, ENABLE.

use crate::protocol::command::general::Enable;
use crate::protocol::cursor::SyntaxError;
use crate::protocol::response::{self, Condition};
use crate::session::outcome::{Done, Refusal};
use crate::session::selected::Selected;
use crate::session::{Context, capabilities, updates};

/// CAPABILITY (RFC 9051 section 6.1.1).
pub fn capability(context: &mut Context<'_>) -> Result<Done, Refusal> {
    response::capability(&mut context.channel.out, &capabilities::after_login(context.withheld));
    Ok(Done::plain())
}

/// The session ends after the tagged answer.
pub fn logout(context: &mut Context<'_>) -> Result<Done, Refusal> {
    response::status(&mut context.channel.out, None, Condition::Bye, None, "Logging out");
    Ok(Done::plain())
}

/// Who we are. What the client says of itself changes nothing (RFC 2971 section 1).
pub fn id(context: &mut Context<'_>) -> Result<Done, Refusal> {
    response::id(&mut context.channel.out, &[("name", "imapd"), ("version", env!("CARGO_PKG_VERSION"))]);
    Ok(Done::plain())
}

/// Answers ENABLED with what this command turned on, also with nothing (RFC 9051 section 6.3.1). After SELECT it is accepted too, as
/// RFC 5161 section 3.1 leaves open: clients send it.
pub fn enable(context: &mut Context<'_>, selected: Option<&Selected>, enable: &Enable) -> Result<Done, Refusal> {
    let Context { channel, enabled, withheld, .. } = context;
    let asked =
        |name: &str| !withheld.has(name) && enable.capabilities.iter().any(|asked| asked.eq_ignore_ascii_case(name));
    let mut now = Vec::new();
    if asked("IMAP4rev2") && !enabled.imap4rev2 {
        enabled.imap4rev2 = true;
        now.push("IMAP4rev2");
    }
    let before = **enabled;
    if asked("CONDSTORE") && !before.condstore {
        now.push("CONDSTORE");
    }
    if asked("QRESYNC") && !before.qresync {
        enabled.qresync = true;
        now.push("QRESYNC");
    }
    // QRESYNC has CONDSTORE in it (RFC 7162 section 3.2.3).
    if asked("CONDSTORE") || asked("QRESYNC") {
        updates::enable_condstore(channel, enabled, selected);
    }
    response::enabled(&mut context.channel.out, &now);
    Ok(Done::plain())
}

/// What a BAD says.
pub fn syntax_text(error: &SyntaxError) -> String {
    match error {
        SyntaxError::Expected { what, at } => format!("Expected {what} at octet {at}"),
        SyntaxError::Limit(what) | SyntaxError::Mailbox(what) => (*what).into(),
        SyntaxError::Charset { .. } => "Unknown charset".into(),
        SyntaxError::UnknownCommand => "Unknown command".into(),
    }
}
