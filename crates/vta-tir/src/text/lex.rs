//! Words, numbers and signs, with their places.

use super::ParseError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    Word(&'a str),
    Number(&'a str),
    Sign(&'static str),
    End,
}

/// A token and where it starts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spanned<'a> {
    pub(super) token: Token<'a>,
    pub(super) line: usize,
    pub(super) column: usize,
}

/// Longest first, so that a sign is never mistaken for the beginning of another.
const SIGNS: &[&str] = &[
    ">>", "..", "+=", "<-", "(", ")", "[", "]", "{", "}", ",", ":", ".", "=", "+", "-", "*", "/",
    "%",
];

pub(super) fn begins_name(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

pub(super) fn continues_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Splits a text; `//` begins a comment that ends with its line.
pub(super) fn tokens(text: &str) -> Result<Vec<Spanned<'_>>, ParseError> {
    let mut tokens = Vec::new();
    let mut last = 1;
    for (number, source) in text.lines().enumerate() {
        let line = number + 1;
        last = line;
        let mut rest = source;
        loop {
            rest = rest.trim_start();
            let column = source[..source.len() - rest.len()].chars().count() + 1;
            let Some(first) = rest.chars().next().filter(|_| !rest.starts_with("//")) else {
                break;
            };
            let (token, length) = if begins_name(first) {
                let length = rest.find(|c| !continues_name(c)).unwrap_or(rest.len());
                (Token::Word(&rest[..length]), length)
            } else if first.is_ascii_digit() {
                let length = rest
                    .find(|c: char| !c.is_ascii_digit())
                    .unwrap_or(rest.len());
                (Token::Number(&rest[..length]), length)
            } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
                (Token::Sign(sign), sign.len())
            } else {
                let message = format!("`{first}` begins nothing in this language");
                return Err(ParseError {
                    line,
                    column,
                    message,
                });
            };
            tokens.push(Spanned {
                token,
                line,
                column,
            });
            rest = &rest[length..];
        }
    }
    tokens.push(Spanned {
        token: Token::End,
        line: last,
        column: text.lines().last().map_or(0, |l| l.chars().count()) + 1,
    });
    Ok(tokens)
}
