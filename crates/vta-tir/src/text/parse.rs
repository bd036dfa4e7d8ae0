//! Parsing: recursive descent over the grammar of `docs/tir.md`.

use super::lex::{Spanned, Token, tokens};
use super::{ParseError, is_name};
use crate::expr::{Expr, ExprOp, Name};
use crate::program::{Buffer, DType, Direction, Param, Program, Scope};
use crate::stmt::{AluOp, Operand, Stmt};
use crate::value::{Access, Value, ValueOp};

/// Loops and parentheses may nest this deep, and one expression may have this many operators.
const MAX_DEPTH: usize = 200;
const MAX_OPERATORS: usize = 200;

/// Reads one program.
///
/// # Errors
/// The first place where the text is not a program. Names, ranks and bounds are [`verify`](crate::verify)'s to judge.
pub fn parse(text: &str) -> Result<Program, ParseError> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        next: 0,
        depth: 0,
        operators: 0,
    };
    let program = parser.program()?;
    match parser.peek() {
        Token::End => Ok(program),
        _ => parser.expected("the end of the text"),
    }
}

type Parsed<T> = Result<T, ParseError>;

struct Parser<'a> {
    tokens: Vec<Spanned<'a>>,
    next: usize,
    depth: usize,
    operators: usize,
}

/// What index expressions and values share: literals, names and binary operators.
trait Tree: Sized {
    /// Signs from the loosest level to the tightest.
    const LEVELS: &'static [&'static [&'static str]];
    fn literal(value: i64) -> Self;
    /// What a word begins.
    fn word(parser: &mut Parser<'_>) -> Parsed<Self>;
    fn binary(sign: &str, a: Self, b: Self) -> Self;
}

impl Tree for Expr {
    const LEVELS: &'static [&'static [&'static str]] = &[&["+", "-"], &["*", "/", "%"]];

    fn literal(value: i64) -> Self {
        Expr::Const(value)
    }

    fn word(parser: &mut Parser<'_>) -> Parsed<Self> {
        match parser.callee() {
            Some(call @ ("min" | "max")) => parser.call(call),
            _ => Ok(Expr::Var(parser.name("a variable")?)),
        }
    }

    fn binary(sign: &str, a: Self, b: Self) -> Self {
        let op = match sign {
            "+" => ExprOp::Add,
            "-" => ExprOp::Sub,
            "*" => ExprOp::Mul,
            "/" => ExprOp::FloorDiv,
            "%" => ExprOp::Mod,
            "min" => ExprOp::Min,
            _ => ExprOp::Max,
        };
        Expr::bin(op, a, b)
    }
}

impl Tree for Value {
    const LEVELS: &'static [&'static [&'static str]] = &[&[">>"], &["+", "-"], &["*"]];

    fn literal(value: i64) -> Self {
        Value::Const(value)
    }

    fn word(parser: &mut Parser<'_>) -> Parsed<Self> {
        match parser.callee() {
            Some(call @ ("min" | "max")) => parser.call(call),
            Some(_) => {
                let dtype = parser.dtype()?;
                parser.sign("(")?;
                let value = parser.tree::<Value>()?;
                parser.sign(")")?;
                Ok(value.cast(dtype))
            }
            None => {
                let (access, padded) = parser.place_or_padded()?;
                Ok(Value::Read { access, padded })
            }
        }
    }

    fn binary(sign: &str, a: Self, b: Self) -> Self {
        let op = match sign {
            "+" => ValueOp::Add,
            "-" => ValueOp::Sub,
            "*" => ValueOp::Mul,
            ">>" => ValueOp::Shr,
            "min" => ValueOp::Min,
            _ => ValueOp::Max,
        };
        a.bin(op, b)
    }
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Token<'a> {
        self.tokens[self.next].token
    }

    fn error<T>(&self, message: String) -> Parsed<T> {
        let Spanned { line, column, .. } = self.tokens[self.next];
        Err(ParseError {
            line,
            column,
            message,
        })
    }

    fn expected<T>(&self, what: &str) -> Parsed<T> {
        match self.peek() {
            Token::Word(text) | Token::Number(text) => {
                self.error(format!("expected {what}, found `{text}`"))
            }
            Token::Sign(sign) => self.error(format!("expected {what}, found `{sign}`")),
            Token::End => self.error(format!("expected {what}, found the end of the text")),
        }
    }

    fn at_word(&self, word: &str) -> bool {
        self.peek() == Token::Word(word)
    }

    fn at_sign(&self, sign: &'static str) -> bool {
        self.peek() == Token::Sign(sign)
    }

    /// The next word, if a call of it begins here.
    fn callee(&self) -> Option<&'a str> {
        match (self.peek(), self.tokens.get(self.next + 1)?.token) {
            (Token::Word(word), Token::Sign("(")) => Some(word),
            _ => None,
        }
    }

    fn word(&mut self, word: &str) -> Parsed<()> {
        if !self.at_word(word) {
            return self.expected(&format!("`{word}`"));
        }
        self.next += 1;
        Ok(())
    }

    fn sign(&mut self, sign: &'static str) -> Parsed<()> {
        if !self.at_sign(sign) {
            return self.expected(&format!("`{sign}`"));
        }
        self.next += 1;
        Ok(())
    }

    fn take_sign(&mut self, sign: &'static str) -> bool {
        let found = self.at_sign(sign);
        self.next += usize::from(found);
        found
    }

    fn name(&mut self, what: &str) -> Parsed<Name> {
        match self.peek() {
            Token::Word(text) if is_name(text) => {
                self.next += 1;
                Ok(text.into())
            }
            _ => self.expected(what),
        }
    }

    /// The one of `all` whose word comes next.
    fn one_of<T: Copy>(
        &mut self,
        what: &str,
        all: &[T],
        name: impl Fn(T) -> &'static str,
    ) -> Parsed<T> {
        match all.iter().find(|choice| self.at_word(name(**choice))) {
            Some(choice) => {
                self.next += 1;
                Ok(*choice)
            }
            None => {
                let words: Vec<_> = all.iter().map(|choice| name(*choice)).collect();
                self.expected(&format!("{what} ({})", words.join(", ")))
            }
        }
    }

    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth == MAX_DEPTH {
            return self.error(format!("nested more than {MAX_DEPTH} deep"));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    /// A literal of 32 bits; `what` says in an error what it was to be.
    fn number(&mut self, what: &str) -> Parsed<i32> {
        let at = self.next;
        let literal = self.literal()?;
        i32::try_from(literal).or_else(|_| {
            self.next = at;
            self.error(format!("{what} that does not fit 32 bits"))
        })
    }

    fn literal(&mut self) -> Parsed<i64> {
        let negative = self.take_sign("-");
        let Token::Number(digits) = self.peek() else {
            return self.expected("a number");
        };
        let signed = if negative {
            format!("-{digits}")
        } else {
            digits.to_owned()
        };
        let Ok(value) = signed.parse() else {
            return self.error(format!("{signed} does not fit 64 bits"));
        };
        self.next += 1;
        Ok(value)
    }

    /// A whole expression of its own.
    fn whole<T: Tree>(&mut self) -> Parsed<T> {
        self.operators = 0;
        self.tree()
    }

    fn tree<T: Tree>(&mut self) -> Parsed<T> {
        self.deeper(|parser| parser.level(0))
    }

    fn level<T: Tree>(&mut self, level: usize) -> Parsed<T> {
        let Some(signs) = T::LEVELS.get(level) else {
            return self.primary();
        };
        let mut tree = self.level(level + 1)?;
        while let Some(sign) = signs.iter().find(|sign| self.at_sign(sign)) {
            if self.operators == MAX_OPERATORS {
                return self.error(format!(
                    "an expression of more than {MAX_OPERATORS} operators"
                ));
            }
            self.operators += 1;
            self.next += 1;
            tree = T::binary(sign, tree, self.level(level + 1)?);
        }
        Ok(tree)
    }

    fn primary<T: Tree>(&mut self) -> Parsed<T> {
        match self.peek() {
            Token::Number(_) | Token::Sign("-") => Ok(T::literal(self.literal()?)),
            Token::Word(_) => T::word(self),
            Token::Sign("(") => {
                self.next += 1;
                let inner = self.tree()?;
                self.sign(")")?;
                Ok(inner)
            }
            _ => self.expected("an expression"),
        }
    }

    fn call<T: Tree>(&mut self, name: &str) -> Parsed<T> {
        self.next += 1;
        self.sign("(")?;
        let a = self.tree()?;
        self.sign(",")?;
        let b = self.tree()?;
        self.sign(")")?;
        Ok(T::binary(name, a, b))
    }

    fn list(&mut self) -> Parsed<Vec<Expr>> {
        self.sign("[")?;
        let mut items = Vec::new();
        while !self.take_sign("]") {
            if !items.is_empty() {
                self.sign(",")?;
            }
            items.push(self.tree()?);
        }
        Ok(items)
    }

    fn place_or_padded(&mut self) -> Parsed<(Access, Option<i32>)> {
        let buffer = self.name("a buffer")?;
        let mut padded = None;
        if self.take_sign(".") {
            self.word("pad")?;
            padded = Some(0);
            if self.take_sign("(") {
                padded = Some(self.number("a padding")?);
                self.sign(")")?;
            }
        }
        Ok((
            Access {
                buffer,
                idx: self.list()?,
            },
            padded,
        ))
    }

    fn place(&mut self) -> Parsed<Access> {
        let buffer = self.name("a buffer")?;
        Ok(Access {
            buffer,
            idx: self.list()?,
        })
    }

    fn dtype(&mut self) -> Parsed<DType> {
        self.one_of("a type", &DType::ALL, DType::name)
    }

    fn program(&mut self) -> Parsed<Program> {
        self.word("program")?;
        let name = self.name("the program's name")?.to_string();
        let mut params: Vec<Param> = Vec::new();
        self.sign("(")?;
        while !self.take_sign(")") {
            if !params.is_empty() {
                self.sign(",")?;
            }
            let name = self.name("a parameter")?;
            self.sign(":")?;
            let directions = [Direction::In, Direction::Out];
            let direction = self.one_of("a direction", &directions, |d| {
                if d == Direction::In { "in" } else { "out" }
            })?;
            let (dtype, shape) = (self.dtype()?, self.list()?);
            params.push(Param {
                direction,
                buffer: Buffer {
                    name,
                    scope: Scope::Dram,
                    dtype,
                    shape,
                    double: false,
                },
            });
        }
        Ok(Program {
            name,
            params,
            body: self.block()?,
        })
    }

    fn block(&mut self) -> Parsed<Vec<Stmt>> {
        self.sign("{")?;
        let mut body = Vec::new();
        while !self.take_sign("}") {
            body.push(self.deeper(Self::stmt)?);
        }
        Ok(body)
    }

    fn stmt(&mut self) -> Parsed<Stmt> {
        self.operators = 0;
        let Token::Word(head) = self.peek() else {
            return self.expected("a statement or `}`");
        };
        if is_name(head) {
            let dst = self.place()?;
            if self.take_sign("+=") {
                return Ok(Stmt::Accumulate {
                    dst,
                    value: self.whole()?,
                });
            }
            if !self.take_sign("=") {
                return self.expected("`=` or `+=`");
            }
            return Ok(Stmt::Assign {
                dst,
                value: self.whole()?,
            });
        }
        self.next += 1;
        match head {
            "for" => {
                let var = self.name("a loop variable")?;
                self.word("in")?;
                if self.peek() != Token::Number("0") {
                    return self.expected("`0`, where every loop starts");
                }
                self.next += 1;
                self.sign("..")?;
                Ok(Stmt::For {
                    var,
                    extent: self.whole()?,
                    body: self.block()?,
                })
            }
            "alloc" => {
                let name = self.name("a buffer")?;
                self.sign(":")?;
                let double = self.peek() == Token::Word("double");
                self.next += usize::from(double);
                let scope = self.one_of("a scope", &Scope::ALL, Scope::name)?;
                let (dtype, shape) = (self.dtype()?, self.list()?);
                Ok(Stmt::Alloc {
                    buffer: Buffer {
                        name,
                        scope,
                        dtype,
                        shape,
                        double,
                    },
                    body: self.block()?,
                })
            }
            "load" => {
                let dst = self.place()?;
                self.sign("<-")?;
                let (src, padded) = self.place_or_padded()?;
                self.sign(":")?;
                Ok(Stmt::Load {
                    dst,
                    src,
                    padded,
                    extents: self.list()?,
                })
            }
            "store" => {
                let dst = self.place()?;
                self.sign("<-")?;
                let src = self.place()?;
                self.sign(":")?;
                let extents = self.list()?;
                let by = if self.peek() == Token::Word("by") {
                    self.next += 1;
                    Some(self.place()?)
                } else {
                    None
                };
                Ok(Stmt::Store {
                    dst,
                    src,
                    extents,
                    by,
                })
            }
            "gemm" => {
                let acc = self.place()?;
                self.sign(",")?;
                let inp = self.place()?;
                self.sign(",")?;
                Ok(Stmt::Gemm {
                    acc,
                    inp,
                    wgt: self.place()?,
                })
            }
            "reset" => Ok(Stmt::Reset { acc: self.place()? }),
            "alu" => {
                self.sign(".")?;
                let op = self.one_of("an operation", &AluOp::ALL, AluOp::name)?;
                let dst = self.place()?;
                self.sign(",")?;
                if matches!(self.peek(), Token::Word(_)) {
                    return Ok(Stmt::Alu {
                        op,
                        dst,
                        src: Operand::Elem(self.place()?),
                    });
                }
                Ok(Stmt::Alu {
                    op,
                    dst,
                    src: Operand::Imm(self.number("an immediate")?),
                })
            }
            _ => {
                self.next -= 1;
                self.expected("a statement or `}`")
            }
        }
    }
}
