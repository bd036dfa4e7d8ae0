//! What differs between two texts.

/// Lines of context on either side of the change.
const CONTEXT: usize = 3;

/// The lines between the common start and the common end of both texts, as a unified
/// diff of one hunk.
pub(crate) fn lines(expected: &str, actual: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (expected.lines().collect(), actual.lines().collect());
    let head = common(old.iter(), new.iter());
    let tail = common(old[head..].iter().rev(), new[head..].iter().rev());
    let (old_end, new_end) = (old.len() - tail, new.len() - tail);

    let start = head.saturating_sub(CONTEXT);
    let mut text = format!("@@ line {} of the outcome\n", start + 1);
    let mut put = |mark: &str, lines: &[&str]| {
        for line in lines {
            text.push_str(&format!("{mark} {line}\n"));
        }
    };
    put(" ", &old[start..head]);
    put("-", &old[head..old_end]);
    put("+", &new[head..new_end]);
    put(" ", &old[old_end..old.len().min(old_end + CONTEXT)]);
    text
}

fn common<'a>(a: impl Iterator<Item = &'a &'a str>, b: impl Iterator<Item = &'a &'a str>) -> usize {
    a.zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::lines;

    #[test]
    fn shows_the_change_in_its_context() {
        let diff = lines("1\n2\n3\n4\nx\n5\n6\n", "1\n2\n3\n4\ny\nz\n5\n6\n");
        assert_eq!(
            diff,
            "@@ line 2 of the outcome\n  2\n  3\n  4\n- x\n+ y\n+ z\n  5\n  6\n"
        );
    }
}
