//! Words and signs of the text form.

use std::borrow::Cow;
use std::str::{Chars, FromStr};

/// Why a text does not parse; the line is known to the [`Lexer`].
pub(super) type Reason = String;

/// A position in a text. Nothing is copied but quoted names with escapes.
pub(super) struct Lexer<'a> {
    rest: &'a str,
    line: usize,
    /// Line of the token taken last, where an error about it belongs.
    pub(super) token_line: usize,
}

/// Characters of a word: names, numbers, hexadecimal data.
pub(super) fn is_word_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '+')
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Lexer {
            rest: text,
            line: 1,
            token_line: 1,
        }
    }

    /// Skips white space and comments.
    fn skip(&mut self) {
        loop {
            let trimmed = self.rest.trim_start();
            let skipped = &self.rest[..self.rest.len() - trimmed.len()];
            self.line += skipped.matches('\n').count();
            self.rest = trimmed;
            if !trimmed.starts_with("//") {
                return;
            }
            self.rest = &trimmed[trimmed.find('\n').unwrap_or(trimmed.len())..];
        }
    }

    /// The next token, not taken: a word, `->`, or one character. Empty at the end.
    pub(super) fn peek(&mut self) -> &'a str {
        self.skip();
        let Some(first) = self.rest.chars().next() else {
            return "";
        };
        let len = if self.rest.starts_with("->") {
            2
        } else if is_word_char(first) {
            // Words are ASCII, and may be long: constants are one word.
            let end = self.rest.bytes().position(|b| !is_word_char(b.into()));
            end.unwrap_or(self.rest.len())
        } else {
            first.len_utf8()
        };
        &self.rest[..len]
    }

    pub(super) fn next(&mut self) -> &'a str {
        let token = self.peek();
        self.token_line = self.line;
        self.rest = &self.rest[token.len()..];
        token
    }

    /// Takes `token` if it comes next.
    pub(super) fn take(&mut self, token: &str) -> bool {
        let found = self.peek() == token;
        if found {
            self.next();
        }
        found
    }

    pub(super) fn expect(&mut self, token: &str, what: &str) -> Result<(), Reason> {
        match self.next() {
            found if found == token => Ok(()),
            found => Err(self.unexpected(found, what)),
        }
    }

    pub(super) fn unexpected(&self, found: &str, what: &str) -> Reason {
        const SHOWN: usize = 40;
        match found.char_indices().nth(SHOWN) {
            _ if found.is_empty() => format!("the text ends where {what} was expected"),
            Some((end, _)) => format!("`{}...` found, {what} was expected", &found[..end]),
            None => format!("`{found}` found, {what} was expected"),
        }
    }

    pub(super) fn word(&mut self, what: &str) -> Result<&'a str, Reason> {
        let token = self.next();
        if token.starts_with(is_word_char) && token != "->" {
            Ok(token)
        } else {
            Err(self.unexpected(token, what))
        }
    }

    pub(super) fn parse<T: FromStr>(&mut self, what: &str) -> Result<T, Reason> {
        let word = self.word(what)?;
        word.parse().map_err(|_| self.unexpected(word, what))
    }

    /// Items between brackets, separated by commas.
    pub(super) fn list(
        &mut self,
        open: &str,
        close: &str,
        mut item: impl FnMut(&mut Self) -> Result<(), Reason>,
    ) -> Result<(), Reason> {
        self.expect(open, &format!("`{open}`"))?;
        if self.take(close) {
            return Ok(());
        }
        loop {
            item(self)?;
            if self.take(close) {
                return Ok(());
            }
            self.expect(",", &format!("`,` or `{close}`"))?;
        }
    }

    /// A name: a word, or any text between quotes.
    pub(super) fn name(&mut self, what: &str) -> Result<Cow<'a, str>, Reason> {
        if self.peek() == "\"" {
            self.string()
        } else {
            self.word(what).map(Cow::Borrowed)
        }
    }

    /// Text between quotes, on one line, with the escapes `\"`, `\\`, `\n`, `\r`, `\t`, `\0` and `\u{hex}`.
    pub(super) fn string(&mut self) -> Result<Cow<'a, str>, Reason> {
        self.expect("\"", "a text between quotes")?;
        let end = self.rest.find(['"', '\\', '\n']).unwrap_or(self.rest.len());
        let (plain, rest) = self.rest.split_at(end);
        if let Some(rest) = rest.strip_prefix('"') {
            self.rest = rest;
            return Ok(Cow::Borrowed(plain));
        }
        let mut text = String::new();
        loop {
            let mut chars = self.rest.chars();
            let c = match chars.next() {
                None | Some('\n') => return Err("the line ends inside quotes".into()),
                Some('"') => {
                    self.rest = chars.as_str();
                    return Ok(Cow::Owned(text));
                }
                Some('\\') => unescape(&mut chars)
                    .ok_or(r#"an unknown escape: use \", \\, \n, \r, \t, \0 or \u{hex}"#)?,
                Some(c) => c,
            };
            text.push(c);
            self.rest = chars.as_str();
        }
    }
}

/// The character that an escape stands for, after its backslash.
fn unescape(chars: &mut Chars<'_>) -> Option<char> {
    match chars.next()? {
        c @ ('"' | '\\') => Some(c),
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        '0' => Some('\0'),
        'u' => {
            let (hex, rest) = chars.as_str().strip_prefix('{')?.split_once('}')?;
            *chars = rest.chars();
            char::from_u32(u32::from_str_radix(hex, 16).ok()?)
        }
        _ => None,
    }
}

/// A name as [`Lexer::name`] reads it: quoted unless it is a plain word.
pub(super) fn print_name(name: &str, out: &mut String) {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
    if !name.is_empty() && name.chars().all(plain) {
        out.push_str(name);
    } else {
        print_string(name, out);
    }
}

pub(super) fn print_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            // The escapes of `char` other than for quotes are ours.
            '\'' => out.push(c),
            _ => out.extend(c.escape_debug()),
        }
    }
    out.push('"');
}
