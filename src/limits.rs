//! Every number that bounds a client. Sizes are octets unless they say otherwise.

use std::time::Duration;

/// A command line before login without its literals.
pub const LINE_BEFORE_LOGIN: usize = 8 * 1024;
/// A command line after login without its literals. Clients send sets of thousands of UIDs in one line.
pub const LINE: usize = 64 * 1024;
/// All literals of one command before login: only LOGIN has use for any.
pub const LITERAL_BEFORE_LOGIN: u64 = 4 * 1024;
/// How many literals a command may have before login: LOGIN has two arguments.
pub const LITERAL_COUNT_BEFORE_LOGIN: usize = 2;
/// A literal after login, APPEND's message left out.
pub const LITERAL: u64 = 64 * 1024;
/// All literals of one command together, APPEND's messages left out.
pub const LITERALS_OF_COMMAND: u64 = 1024 * 1024;
/// How many literals one command may have. With more, framing would cost more than the command.
pub const LITERAL_COUNT: usize = 1000;
/// A message given to APPEND; advertised as APPENDLIMIT.
pub const APPEND: u64 = 50 * 1024 * 1024;
/// Messages in one MULTIAPPEND.
pub const APPEND_MESSAGES: usize = 10_000;
/// How deep parentheses and search keys (NOT, OR) may nest.
pub const NESTING: usize = 32;
/// Parenthesised lists in one command.
pub const LISTS: usize = 4096;
/// Search keys in one SEARCH.
pub const SEARCH_KEYS: usize = 4096;
/// Items of one FETCH. Each costs a comparison with the others, and a part of every answer.
pub const FETCH_ITEMS: usize = 1000;
/// Field names in one BODY[HEADER.FIELDS (...)]; each is compared with each field of each message.
pub const HEADER_NAMES: usize = 1000;
/// Field name and value pairs in ID (RFC 2971 section 3.3).
pub const ID_PAIRS: usize = 30;
/// A value in ID (RFC 2971 section 3.3).
pub const ID_VALUE: usize = 1024;
/// A SASL response, decoded.
pub const SASL: usize = 8 * 1024;
/// A user name.
pub const USER: usize = 255;
/// A password. PAM's own limit (PAM_MAX_RESP_SIZE) is 512.
pub const PASSWORD: usize = 511;

/// A mailbox name in UTF-8.
pub const MAILBOX_NAME: usize = 1000;
/// Parts of a mailbox name.
pub const MAILBOX_LEVELS: usize = 64;
/// Mailboxes of one user in the memory store. In a Maildir those that are there are there, whoever made them: there only the file system has limits, and what
/// they cost is a LIST of so many lines.
pub const MAILBOXES: usize = 10_000;
/// Names that one user subscribes to in the memory store; they need not exist, so the number of mailboxes does not bound them. In a Maildir the size of
/// the file bounds them.
pub const SUBSCRIPTIONS: usize = 10_000;
/// A keyword.
pub const KEYWORD: usize = 128;
/// Keywords in one mailbox.
pub const KEYWORDS_OF_MAILBOX: usize = 1000;
/// All mail of one user in the memory store, which else could take the machine's memory.
pub const MEMORY_OF_USER: u64 = 512 * 1024 * 1024;
/// Ranges of UIDs in what a mailbox in memory remembers of its expunges. A client that was away longer is told of every UID that is not there.
pub const EXPUNGED_RANGES: usize = 1000;
/// Flags given in one command.
pub const FLAGS_OF_COMMAND: usize = 1000;

/// How deep MIME parts nest before the rest is shown as one opaque part.
pub const MIME_DEPTH: usize = 100;
/// MIME parts of one message; later ones belong to the last.
pub const MIME_PARTS: usize = 10_000;
/// One header field that is parsed; what is longer is passed through raw.
pub const HEADER_FIELD: usize = 1024 * 1024;
/// All header fields of one message that are parsed.
pub const HEADERS: usize = 10 * 1024 * 1024;
/// Parameters of one MIME header field (RFC 2231 included).
pub const MIME_PARAMETERS: usize = 128;
/// Parameters of all MIME header fields of one message: enough for every part, and they cost far more memory than octets in the file.
pub const MIME_PARAMETERS_OF_MESSAGE: usize = 100_000;
/// A boundary. RFC 2046 section 5.1.1 allows 70; a multipart with a longer one than this is not taken apart.
pub const MIME_BOUNDARY: usize = 1000;
/// Addresses shown of one address field.
pub const ADDRESSES: usize = 10_000;
/// Addresses shown of all fields of one message and the messages within it.
pub const ADDRESSES_OF_MESSAGE: usize = 100_000;
/// A value kept of a message that was parsed (ENVELOPE, BODYSTRUCTURE, header fields): several times what any usual message has.
pub const KEPT: usize = 32 * 1024;
/// A decoded header field or body part that SEARCH holds in memory at once.
pub const SEARCH_WINDOW: usize = 256 * 1024;

/// Patterns of one LIST, since each is held against each mailbox.
pub const LIST_PATTERNS: usize = 100;

/// Messages that FETCH marks as \Seen at once: few, since a client that goes away has not read those that were not yet sent.
pub const SEEN_BATCH: usize = 64;

/// From accept to login.
pub const TIME_BEFORE_LOGIN: Duration = Duration::from_secs(60);
/// The TLS handshake alone.
pub const TIME_OF_HANDSHAKE: Duration = Duration::from_secs(15);
/// The answer of the process that has the private keys.
pub const TIME_OF_SIGNATURE: Duration = Duration::from_secs(5);
/// Silence after login until autologout (RFC 9051 section 5.4 asks for at least 30 minutes).
pub const TIME_IDLE: Duration = Duration::from_secs(31 * 60);
/// A client that takes nothing of what is sent to it, before login.
pub const TIME_STALLED_BEFORE_LOGIN: Duration = Duration::from_secs(30);
/// The same after login.
pub const TIME_STALLED: Duration = Duration::from_secs(5 * 60);
/// A line to a client in IDLE, so that NAT tables remember it. Below three minutes some clients give up push.
pub const TIME_KEEPALIVE: Duration = Duration::from_secs(12 * 60);
/// How often a mailbox is looked at in IDLE when the system gives no notice of changes.
pub const TIME_POLL: Duration = Duration::from_secs(10);

/// What a failed login takes at least, so that its time tells nothing.
pub const TIME_OF_FAILURE: Duration = Duration::from_secs(2);
/// What it takes at most, when one follows the other from the same source.
pub const LONGEST_TIME_OF_FAILURE: Duration = Duration::from_secs(15);
/// What a source owes for a failed login: more than the login took, so that even one guess after the other comes to its end.
pub const PENALTY_OF_FAILURE: Duration = Duration::from_secs(20);
/// For a connection that came to nothing. A monitor that looks every few seconds whether we listen must not be refused.
pub const PENALTY_OF_ABANDONED: Duration = Duration::from_secs(2);
/// For a connection that took too long.
pub const PENALTY_OF_TIME_UP: Duration = Duration::from_secs(10);
/// For a process that crashed before login.
pub const PENALTY_OF_CRASH: Duration = Duration::from_secs(90);
/// Who owes so much is refused. More than six logins must fail within seconds for it, since a household or an office may be one source.
pub const PENALTY_REFUSED: Duration = Duration::from_secs(120);
/// Nobody owes more.
pub const PENALTY_MOST: Duration = Duration::from_secs(600);
/// Sources of which it is remembered what they owe.
pub const PENALIZED_SOURCES: usize = 65_536;
/// What a password check may take, the delays of its PAM modules included.
pub const TIME_OF_CHECK: Duration = Duration::from_secs(60);
/// What the modules of a PAM session may take to open it, and to close it. Each that hangs would keep a connection's place for good.
pub const TIME_OF_PAM_SESSION: Duration = Duration::from_secs(60);

/// Signatures that the process of one connection may ask for: a handshake needs one, and there is one handshake.
pub const SIGNATURES_OF_CONNECTION: u32 = 1;
/// What such a process may send to be signed: the longest that TLS has are some 170.
pub const SIGNING_REQUEST: usize = 256;

/// Memory of the process that a client without login talks to, all that it maps included.
pub const MEMORY_BEFORE_LOGIN: u64 = 256 * 1024 * 1024;
/// Memory that a session may have of its own, mapped files not included: a view of a million messages takes a tenth of it.
pub const MEMORY_OF_SESSION: u64 = 2 * 1024 * 1024 * 1024;

/// Failed logins on one connection before BYE.
pub const FAILED_LOGINS: u32 = 3;
/// Commands that are no IMAP on one connection before login; the first such already ends it when it is the first line.
pub const BAD_COMMANDS_BEFORE_LOGIN: u32 = 3;
/// The same after login, without a good one between.
pub const BAD_COMMANDS: u32 = 20;

/// What a client may have sent behind the command that logs it in, when its connection moves to another process: a buffer full, and
/// one TLS record.
pub const UNREAD_AT_LOGIN: usize = 32 * 1024;
/// Times that each side of a TLS connection may have changed its keys before login. Clients do so after many gigabytes.
pub const KEY_UPDATES_BEFORE_LOGIN: u32 = 100;
/// Times in a minute that a client may change its TLS keys after login: each costs us more than it costs the client.
pub const KEY_UPDATES_PER_MINUTE: u32 = 30;
/// TLS records in a row that bring nothing: empty ones, warnings, requests that are refused.
pub const FRUITLESS_RECORDS: u32 = 32;
/// TLS records under one AES-GCM key, somewhat below the 2^24.5 of RFC 8446 section 5.5.
pub const RECORDS_PER_KEY: u64 = 1 << 24;

/// Accounts below it are the system's, not people's (UID_MIN of login.defs).
pub const LOWEST_UID: u32 = 1000;

/// Connections in all.
pub const CONNECTIONS: usize = 1000;
/// Connections from one address.
pub const CONNECTIONS_PER_ADDRESS: usize = 200;
/// Connections from one address that have not logged in.
pub const CONNECTIONS_PER_ADDRESS_BEFORE_LOGIN: usize = 20;
/// Connections that have not logged in from which on some are dropped when another one comes.
pub const STARTUPS: usize = 100;
/// How many of a hundred that come then make one drop; all do at the most that there may be.
pub const STARTUPS_RATE: usize = 30;
/// Connections that have not logged in, from all addresses. Each may be a process.
pub const STARTUPS_MOST: usize = 400;
/// Sessions of one user from one address.
pub const SESSIONS_PER_USER_AND_ADDRESS: usize = 50;
/// Sessions of one user from all addresses: several devices of a whole family, and not all the places there are.
pub const SESSIONS_PER_USER: usize = 200;
/// A PROXY header: addresses are small, but some proxies send the client's certificate along.
pub const PROXY_HEADER: usize = 4096;

/// How long a command waits for another program's lock on a mailbox before it answers `NO [INUSE]`.
pub const TIME_LOCK: Duration = Duration::from_secs(30);
/// How long a look for news waits for it, before the mailbox is shown as last seen.
pub const TIME_LOCK_FOR_NEWS: Duration = Duration::from_secs(5);
/// A UID list in octets; far above what Maildirs hold, it only keeps a planted file from filling the memory.
pub const UID_LIST: u64 = 1 << 30;
/// Another small state file of a Maildir in octets.
pub const STATE_FILE: u64 = 16 * 1024 * 1024;
/// Ranges of UIDs that a mailbox's history of expunges holds (QRESYNC); before them a client is told of every UID that is not there.
pub const EXPUNGE_HISTORY: u64 = 10_000;
