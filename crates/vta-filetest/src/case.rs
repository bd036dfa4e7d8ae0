//! One test file, taken apart and put together again.

use std::fmt::Write;

/// A test file. The parts borrow from its text.
#[derive(Debug)]
pub(crate) struct Case<'a> {
    /// What follows `test:`.
    pub(crate) command: &'a str,
    /// The text between the command and the rule, after one empty line.
    pub(crate) input: String,
    /// What follows the rule; `None` where the file has no rule yet.
    pub(crate) expected: Option<&'a str>,
    head: &'a str,
    comment: &'a str,
}

impl<'a> Case<'a> {
    pub(crate) fn parse(text: &'a str, comment: &'a str) -> Result<Self, String> {
        let (first, _) = text.split_once('\n').unwrap_or((text, ""));
        let command = first
            .strip_prefix(comment)
            .and_then(|rest| rest.trim().strip_prefix("test:"))
            .map(str::trim)
            .filter(|command| !command.is_empty())
            .ok_or_else(|| format!("the first line must be `{comment} test: COMMAND`"))?;
        let (head, expected) = match rule(text, comment) {
            Some((start, end)) => (&text[..start], Some(&text[end..])),
            None => (text, None),
        };
        let input = head[first.len().min(head.len())..].to_string();
        Ok(Case {
            command,
            input,
            expected,
            head,
            comment,
        })
    }

    /// The file's text with `actual` as its expectation.
    pub(crate) fn blessed(&self, actual: &str) -> String {
        let newline = if self.head.ends_with('\n') { "" } else { "\n" };
        format!("{}{newline}{} ---\n{actual}", self.head, self.comment)
    }
}

/// The byte range of the first line that is the comment marker and three dashes.
fn rule(text: &str, comment: &str) -> Option<(usize, usize)> {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let end = start + line.len();
        if line
            .strip_prefix(comment)
            .is_some_and(|r| r.trim() == "---")
        {
            return Some((start, end));
        }
        start = end;
    }
    None
}

/// The text that is compared: one newline at the end, none before the first line.
pub(crate) fn outcome(result: Result<String, String>) -> String {
    let mut text = String::new();
    let written = match &result {
        Ok(output) => write!(text, "{}", output.trim_matches('\n')),
        Err(message) => write!(text, "error: {}", message.trim_matches('\n')),
    };
    written.expect("a string takes any text");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_input_keeps_the_line_numbers_of_the_file() {
        let case = Case::parse("// test: f -x\na\n// ---\nb\n", "//").unwrap();
        assert_eq!((case.command, case.expected), ("f -x", Some("b\n")));
        assert_eq!(case.input.lines().collect::<Vec<_>>(), ["", "a"]);
    }

    #[test]
    fn a_file_without_a_command_is_refused() {
        for text in ["", "a\n", "; test:\n", "# test: f\n"] {
            let message = Case::parse(text, ";").unwrap_err();
            assert_eq!(message, "the first line must be `; test: COMMAND`");
        }
    }

    #[test]
    fn blessing_adds_the_rule_once() {
        let case = Case::parse("; test: f\na", ";").unwrap();
        assert_eq!(case.expected, None);
        let blessed = case.blessed(&outcome(Err("no\n".into())));
        assert_eq!(blessed, "; test: f\na\n; ---\nerror: no\n");
        let case = Case::parse(&blessed, ";").unwrap();
        assert_eq!(case.blessed("error: no\n"), blessed);
    }
}
