//! ENVELOPE and BODYSTRUCTURE: that every field is there and of its kind.

use super::lexer::Value;

type Checked = Result<(), String>;

fn check(good: bool, why: &str, value: &Value) -> Checked {
    if good { Ok(()) } else { Err(format!("{why}: {value:?}")) }
}

/// RFC 9051 `envelope`
pub fn envelope(value: &Value) -> Checked {
    let Value::List(fields) = value else { return Err("an ENVELOPE that is no list".into()) };
    check(fields.len() == 10, "an ENVELOPE without its ten fields", value)?;
    for (place, field) in fields.iter().enumerate() {
        match place {
            0 | 1 | 8 | 9 => check(field.is_nstring(), "an ENVELOPE field that is no nstring", field)?,
            _ => addresses(field)?,
        }
    }
    Ok(())
}

fn addresses(value: &Value) -> Checked {
    let list = match value {
        Value::Nil => return Ok(()),
        Value::List(list) if !list.is_empty() => list,
        _ => return Err(format!("neither addresses nor NIL: {value:?}")),
    };
    let mut in_group = false;
    for address in list {
        let Value::List(fields) = address else { return Err(format!("no address: {address:?}")) };
        check(
            fields.len() == 4 && fields.iter().all(Value::is_nstring),
            "an address without its four fields",
            address,
        )?;
        if fields[3] == Value::Nil {
            let begins = fields[2] != Value::Nil;
            check(begins != in_group, "a group that begins within one, or ends without one", value)?;
            in_group = begins;
        }
    }
    check(!in_group, "a group without end", value)
}

/// RFC 9051 `body`; with all of its extension fields or none of them.
pub fn body(value: &Value, extended: bool) -> Checked {
    let Value::List(fields) = value else { return Err(format!("a body that is no list: {value:?}")) };
    if matches!(fields.first(), Some(Value::List(_))) {
        multipart(value, fields, extended)
    } else {
        part(value, fields, extended)
    }
}

fn multipart(value: &Value, fields: &[Value], extended: bool) -> Checked {
    let parts = fields.iter().take_while(|f| matches!(f, Value::List(_))).count();
    fields[..parts].iter().try_for_each(|part| body(part, extended))?;
    let rest = &fields[parts..];
    check(rest.first().is_some_and(Value::is_string), "a multipart without subtype", value)?;
    if !extended {
        return check(rest.len() == 1, "extension fields in BODY", value);
    }
    check(rest.len() == 5, "a multipart without its four extension fields", value)?;
    parameters(&rest[1])?;
    after_md5(&rest[2..])
}

fn part(value: &Value, fields: &[Value], extended: bool) -> Checked {
    let [main, sub, params, id, description, encoding, octets, rest @ ..] = fields else {
        return Err(format!("a body with too few fields: {value:?}"));
    };
    check(main.is_string() && sub.is_string(), "a media type that is no string", value)?;
    parameters(params)?;
    check(id.is_nstring() && description.is_nstring(), "an id or description that is no nstring", value)?;
    check(encoding.is_string(), "an encoding that is no string", value)?;
    check(octets.as_number().is_some_and(|n| n <= u64::from(u32::MAX)), "a size that is no number", value)?;
    let (main, sub) = (main.text().to_ascii_lowercase(), sub.text().to_ascii_lowercase());
    let rest = match (main.as_str(), sub.as_str()) {
        ("multipart", _) => return Err(format!("a multipart as a single part: {value:?}")),
        ("message", "rfc822" | "global") => {
            let [inner_envelope, inner, lines, rest @ ..] = rest else {
                return Err(format!("a message/rfc822 without envelope, body or lines: {value:?}"));
            };
            envelope(inner_envelope)?;
            body(inner, extended)?;
            check(lines.as_number().is_some(), "lines that are no number", value)?;
            rest
        }
        ("text", _) => {
            let [lines, rest @ ..] = rest else { return Err(format!("a text without lines: {value:?}")) };
            check(lines.as_number().is_some(), "lines that are no number", value)?;
            rest
        }
        _ => rest,
    };
    if !extended {
        return check(rest.is_empty(), "extension fields in BODY", value);
    }
    check(rest.len() == 4, "a part without its four extension fields", value)?;
    check(rest[0].is_nstring(), "an MD5 that is no nstring", value)?;
    after_md5(&rest[1..])
}

/// Disposition, language, location.
fn after_md5(fields: &[Value]) -> Checked {
    match &fields[0] {
        Value::Nil => {}
        Value::List(d) if d.len() == 2 && d[0].is_string() => parameters(&d[1])?,
        other => return Err(format!("a wrong disposition: {other:?}")),
    }
    match &fields[1] {
        Value::List(languages) => {
            check(!languages.is_empty() && languages.iter().all(Value::is_string), "wrong languages", &fields[1])?;
        }
        other => check(other.is_nstring(), "a wrong language", other)?,
    }
    check(fields[2].is_nstring(), "a wrong location", &fields[2])
}

fn parameters(value: &Value) -> Checked {
    match value {
        Value::Nil => Ok(()),
        Value::List(p) => check(
            !p.is_empty() && p.len().is_multiple_of(2) && p.iter().all(Value::is_string),
            "wrong parameters",
            value,
        ),
        other => Err(format!("wrong parameters: {other:?}")),
    }
}
