//! The one error that leaves the library: what went wrong, whose turn it is, and what to do.

use std::fmt;

/// A result of this library.
pub type Result<T> = std::result::Result<T, Error>;

/// Who can do something about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Something that was given is wrong.
    Input,
    /// A limit was reached that the caller can raise.
    Limit,
    /// We are wrong.
    Bug,
}

/// What went wrong, where, and the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    kind: Kind,
    message: String,
    help: Option<String>,
}

impl Error {
    /// An error of what was given.
    pub fn input(message: impl Into<String>) -> Error {
        Error {
            kind: Kind::Input,
            message: message.into(),
            help: None,
        }
    }

    /// A limit that was reached.
    pub fn limit(message: impl Into<String>) -> Error {
        Error {
            kind: Kind::Limit,
            ..Error::input(message)
        }
    }

    /// An error of ours.
    pub fn bug(message: impl Into<String>) -> Error {
        Error {
            kind: Kind::Bug,
            help: Some("this is a bug in vta; please report it with what you ran".into()),
            ..Error::input(message)
        }
    }

    /// The same error with what to do about it.
    pub fn help(self, help: impl Into<String>) -> Error {
        Error {
            help: Some(help.into()),
            ..self
        }
    }

    /// The same error in a place: a file, an argument.
    pub fn at(self, place: impl fmt::Display) -> Error {
        Error {
            message: format!("{place}: {}", self.message),
            ..self
        }
    }

    /// Who can do something about it.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What went wrong and where, without the remedy.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it.
    pub fn remedy(&self) -> Option<&str> {
        self.help.as_deref()
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.help {
            Some(help) => write!(f, "\nhelp: {help}"),
            None => Ok(()),
        }
    }
}
