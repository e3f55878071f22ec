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

/// How many octets at the beginning are ASCII.
pub fn plain(octets: &[u8]) -> usize {
    /// Looked at together.
    const STEP: usize = 64;
    let steps = octets.chunks(STEP).take_while(|step| step.is_ascii()).count() * STEP;
    let rest = octets.get(steps..).unwrap_or_default();
    steps.min(octets.len()) + rest.iter().position(|octet| !octet.is_ascii()).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plain_beginning_is_found_wherever_it_ends() {
        for length in [0, 1, 63, 64, 65, 128, 200] {
            let mut octets = vec![b'x'; length];
            assert_eq!(plain(&octets), length);
            octets.extend(b"\xe9yyy".repeat(40));
            assert_eq!(plain(&octets), length);
        }
    }
}
