//! Case-blind comparison on octets.

/// `haystack` begins with `prefix`, ASCII case disregarded.
pub fn starts_with(haystack: &[u8], prefix: &[u8]) -> bool {
    haystack.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// Without leading and trailing space, tab, CR and LF.
pub fn trim(octets: &[u8]) -> &[u8] {
    let blank = |b: &u8| matches!(b, b' ' | b'\t' | b'\r' | b'\n');
    let start = octets.iter().position(|b| !blank(b)).unwrap_or(octets.len());
    let end = octets.iter().rposition(|b| !blank(b)).map_or(start, |at| at + 1);
    &octets[start..end]
}
