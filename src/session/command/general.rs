//! CAPABILITY, NOOP, LOGOUT, ID, ENABLE.

use crate::protocol::command::general::Enable;
use crate::protocol::cursor::SyntaxError;
use crate::protocol::response::{self, Condition};
use crate::session::outcome::{Done, Refusal};
use crate::session::{Context, capabilities};

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
pub fn enable(context: &mut Context<'_>, enable: &Enable) -> Result<Done, Refusal> {
    let mut now = Vec::new();
    let offered = capabilities::after_login(context.withheld).contains(&"IMAP4rev2");
    if offered && !context.enabled.imap4rev2 && enable.capabilities.iter().any(|name| name == "IMAP4REV2") {
        context.enabled.imap4rev2 = true;
        now.push("IMAP4rev2");
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
