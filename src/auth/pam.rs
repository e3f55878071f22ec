//! Authenticator over PAM: one transaction in a process of its own, RHOST and TTY set, the conversation answered.
//!
//! The process is forked for one check and ends with it, so that no module's memory, descriptors or threads outlive it,
//! and a module that crashes, exits or hangs costs one login. Modules see standard streams that lead nowhere, and no
//! other descriptor but the one for the answer.

use super::apart::{Outcome, apart};
use super::{Account, Accounts, Authenticator, Credentials, Peer, Refusal};
use super::{are_possible, unix_account};
use crate::log::{Level, log};
use crate::sys::process;
use pam_client2::{Context, ConversationHandler, ErrorCode, Flag};
use std::ffi::{CStr, CString};
use std::io;
use zeroize::Zeroizing;

/// Checks passwords with a PAM service.
#[derive(Clone)]
pub struct Pam {
    /// The name of a file in /etc/pam.d.
    pub service: String,
    /// Root and accounts below this uid are refused, whether or not the process becomes the user.
    pub min_uid: u32,
    pub accounts: Accounts,
}

/// A password that is nobody's, as it cannot be typed. Given to PAM in place of the right one for accounts that may not
/// read mail, so that they are refused in the time and with the traces of a wrong password.
const NOBODYS_PASSWORD: &[u8] = b"\x08\n\r\x7fINCORRECT";

/// Prompts answered in one transaction. A module that asks on is broken.
const PROMPTS: u32 = 32;

impl Authenticator for Pam {
    fn authenticate(&mut self, credentials: &Credentials, peer: &Peer) -> Result<Account, Refusal> {
        self.check(credentials, peer)
    }
}

impl Pam {
    fn check(&self, credentials: &Credentials, peer: &Peer) -> Result<Account, Refusal> {
        let name = &credentials.user;
        let password = credentials.password.expose();
        if !are_possible(credentials) {
            return Err(Refusal::Failed);
        }
        let unix = unix_account(name, Accounts::Unix { min_uid: self.min_uid })?;
        let answer = self.ask(name, if unix.is_some() { password } else { NOBODYS_PASSWORD }, peer);
        let answer = answer.unwrap_or_else(|error| {
            log!(Level::Error, "cannot ask PAM: {error}");
            Answer::Broken
        });
        match (answer, unix) {
            (Answer::Yes, Some(unix)) => {
                let unix = (self.accounts != Accounts::Any).then_some(unix);
                Ok(Account { name: name.clone(), unix })
            }
            (Answer::Yes | Answer::No, _) => Err(Refusal::Failed),
            (Answer::Expired, _) => Err(Refusal::Expired),
            (Answer::Broken, _) => Err(Refusal::Unavailable),
        }
    }

    /// Runs the transaction in another process and waits for its answer.
    fn ask(&self, user: &str, password: &[u8], peer: &Peer) -> io::Result<Answer> {
        let outcome = apart(|| {
            let answer = match process::silence_standard_streams() {
                Ok(()) => transaction(&self.service, user, password, peer),
                Err(_) => Answer::Broken,
            };
            Zeroizing::new(vec![answer as u8])
        })?;
        Ok(match outcome {
            Outcome::Answer(octets) => octets.first().map_or(Answer::Broken, |&octet| Answer::from_octet(octet)),
            Outcome::Late => {
                log!(Level::Error, "a PAM module of service {} does not answer", self.service);
                Answer::Broken
            }
            Outcome::Nothing => Answer::Broken,
        })
    }
}

/// All that crosses from the process that ran the modules.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Answer {
    Yes = 1,
    No = 2,
    Expired = 3,
    Broken = 4,
}

impl Answer {
    fn from_octet(octet: u8) -> Self {
        match octet {
            1 => Answer::Yes,
            2 => Answer::No,
            3 => Answer::Expired,
            _ => Answer::Broken,
        }
    }
}

fn transaction(service: &str, user: &str, password: &[u8], peer: &Peer) -> Answer {
    let run = || -> Result<(), (Stage, ErrorCode)> {
        let during = |stage| move |error: pam_client2::Error| (stage, error.code());
        let conversation = Conversation { user, password, prompts: 0 };
        let mut context = Context::new(service, Some(user), conversation).map_err(during(Stage::Start))?;
        // By number: a name would be the choice of whoever owns the address.
        if let Some(address) = peer.address {
            context.set_rhost(Some(&address.to_string())).map_err(during(Stage::Start))?;
        }
        context.set_tty(Some("imapd")).map_err(during(Stage::Start))?;
        let flags = Flag::SILENT | Flag::DISALLOW_NULL_AUTHTOK;
        context.authenticate(flags).map_err(during(Stage::Authenticate))?;
        context.acct_mgmt(flags).map_err(during(Stage::Account))?;
        // A module may have mapped the name to another account: nobody has allowed that.
        match context.user() {
            Ok(now) if now == user => Ok(()),
            _ => Err((Stage::Account, ErrorCode::PERM_DENIED)),
        }
    };
    match run() {
        Ok(()) => Answer::Yes,
        Err((stage, code)) => answer_to(stage, code),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Start,
    Authenticate,
    Account,
}

fn answer_to(stage: Stage, code: ErrorCode) -> Answer {
    use ErrorCode as E;
    match code {
        E::ABORT
        | E::AUTHINFO_UNAVAIL
        | E::BUF_ERR
        | E::MODULE_UNKNOWN
        | E::OPEN_ERR
        | E::SERVICE_ERR
        | E::SYMBOL_ERR
        | E::SYSTEM_ERR => Answer::Broken,
        E::NEW_AUTHTOK_REQD | E::ACCT_EXPIRED | E::AUTHTOK_EXPIRED | E::CRED_EXPIRED if stage == Stage::Account => {
            Answer::Expired
        }
        _ if stage == Stage::Start => Answer::Broken,
        _ => Answer::No,
    }
}

/// The password once, the name when asked, and nothing else.
struct Conversation<'a> {
    user: &'a str,
    password: &'a [u8],
    prompts: u32,
}

impl Conversation<'_> {
    fn answer(&mut self, text: &[u8]) -> Result<CString, ErrorCode> {
        self.prompts += 1;
        if self.prompts > PROMPTS {
            return Err(ErrorCode::CONV_ERR);
        }
        CString::new(text).map_err(|_| ErrorCode::CONV_ERR)
    }
}

impl ConversationHandler for Conversation<'_> {
    fn prompt_echo_on(&mut self, _prompt: &CStr) -> Result<CString, ErrorCode> {
        self.answer(self.user.as_bytes())
    }

    /// A second secret is a second factor, which IMAP cannot ask for.
    fn prompt_echo_off(&mut self, _prompt: &CStr) -> Result<CString, ErrorCode> {
        let password = std::mem::take(&mut self.password);
        if password.is_empty() { Err(ErrorCode::CONV_ERR) } else { self.answer(password) }
    }

    fn text_info(&mut self, _message: &CStr) {}

    fn error_msg(&mut self, _message: &CStr) {}

    fn radio_prompt(&mut self, _prompt: &CStr) -> Result<bool, ErrorCode> {
        Err(ErrorCode::CONV_ERR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_an_account_module_says_is_expired() {
        assert_eq!(answer_to(Stage::Account, ErrorCode::NEW_AUTHTOK_REQD), Answer::Expired);
        assert_eq!(answer_to(Stage::Account, ErrorCode::PERM_DENIED), Answer::No);
        assert_eq!(answer_to(Stage::Authenticate, ErrorCode::ACCT_EXPIRED), Answer::No);
        assert_eq!(answer_to(Stage::Authenticate, ErrorCode::USER_UNKNOWN), Answer::No);
        assert_eq!(answer_to(Stage::Authenticate, ErrorCode::SYSTEM_ERR), Answer::Broken);
    }

    #[test]
    fn the_password_is_told_once() {
        let mut conversation = Conversation { user: "al", password: b"secret", prompts: 0 };
        assert_eq!(conversation.prompt_echo_off(c"Password:"), Ok(c"secret".to_owned()));
        assert_eq!(conversation.prompt_echo_off(c"Code:"), Err(ErrorCode::CONV_ERR));
        assert_eq!(conversation.prompt_echo_on(c"login:"), Ok(c"al".to_owned()));
    }

    #[test]
    fn a_name_that_cannot_be_one_reaches_no_module() {
        let pam = Pam { service: "no-such-service".to_owned(), min_uid: 1, accounts: Accounts::Any };
        let secret = crate::types::Secret::new(b"x".to_vec());
        let credentials = Credentials { user: "../etc/passwd".to_owned(), password: secret };
        assert_eq!(pam.check(&credentials, &Peer::default()), Err(Refusal::Failed));
    }
}
