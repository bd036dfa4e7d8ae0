//! From text to a graph. The text may come from anyone.

use std::collections::HashMap;

use super::attributes::{blank, read_f32, read_fields};
use super::lex::{Lexer, Reason};
use crate::verify::check_elements;
use crate::{DType, Data, Graph, GraphError, Op, Tensor, TensorType, ValueId};

/// Reads a graph from its text form. The result keeps every rule of [`Graph::verify`].
///
/// Memory and time are bounded by the length of the text.
///
/// # Errors
/// [`GraphError::Parse`] with the line and the reason; node lines are checked against
/// inference as they are read.
pub fn parse(text: &str) -> Result<Graph, GraphError> {
    let mut lexer = Lexer::new(text);
    let mut builder = Builder::default();
    builder.graph(&mut lexer).map_err(|why| GraphError::Parse {
        line: lexer.token_line,
        why,
    })?;
    builder.graph.verify()?;
    Ok(builder.graph)
}

#[derive(Default)]
struct Builder {
    graph: Graph,
    ids: HashMap<String, ValueId>,
}

impl Builder {
    fn graph(&mut self, lexer: &mut Lexer<'_>) -> Result<(), Reason> {
        lexer.expect("graph", "`graph`")?;
        self.graph.name = lexer.string()?.into_owned();
        lexer.list("(", ")", |lexer| {
            let (name, ty) = typed(lexer)?;
            let id = self.define(&name, ty)?;
            self.graph.inputs.push(id);
            Ok(())
        })?;
        lexer.expect("->", "`->`")?;
        let mut outputs = Vec::new();
        lexer.list("(", ")", |lexer| {
            let name = value_name(lexer)?;
            outputs.push((name, lexer.token_line));
            Ok(())
        })?;
        lexer.expect("{", "`{`")?;
        while !lexer.take("}") {
            self.line(lexer)?;
        }
        let end = lexer.next();
        if !end.is_empty() {
            return Err(lexer.unexpected(end, "the end of the text"));
        }
        for (name, line) in outputs {
            let id = self.ids.get(&name).copied();
            // The fault is where the output is declared, not at the end.
            lexer.token_line = line;
            let id = id.ok_or_else(|| format!("output `%{name}` is never computed"))?;
            self.graph.outputs.push(id);
        }
        Ok(())
    }

    /// `%name: type = const data` or `%name: type = op(%x, ...) {attributes} @"node"`.
    fn line(&mut self, lexer: &mut Lexer<'_>) -> Result<(), Reason> {
        let (name, ty) = typed(lexer)?;
        lexer.expect("=", "`=`")?;
        const WHAT: &str = "`const` or an operator";
        let op = lexer.word(WHAT)?;
        if op == "const" {
            let tensor = constant(&ty, lexer)?;
            self.check_new(&name)?;
            let id = self.graph.add_constant(&name, tensor);
            self.ids.insert(name, id);
            return Ok(());
        }
        let mut op = blank(op, ty.dtype)
            .ok_or_else(|| format!("`{op}` is no operator: see docs/graph.md for the list"))?;
        let mut inputs = Vec::new();
        lexer.list("(", ")", |lexer| {
            let name = value_name(lexer)?;
            let id = self.ids.get(&name);
            inputs.push(*id.ok_or_else(|| format!("`%{name}` is not defined above this line"))?);
            Ok(())
        })?;
        attributes(&mut op, lexer)?;
        let mut node = String::new();
        if lexer.take("@") {
            node = lexer.string()?.into_owned();
        }
        self.check_new(&name)?;
        let id = (self.graph.add_node(&node, op, &inputs, &name)).map_err(|e| e.to_string())?;
        let inferred = &self.graph.value(id).ty;
        if *inferred != ty {
            return Err(format!(
                "`%{name}` is declared {ty}, the operator gives {inferred}"
            ));
        }
        self.ids.insert(name, id);
        Ok(())
    }

    fn check_new(&self, name: &str) -> Result<(), Reason> {
        if name.is_empty() {
            return Err("a value's name is empty".into());
        }
        if self.ids.contains_key(name) {
            return Err(format!("`%{name}` is defined twice"));
        }
        Ok(())
    }

    fn define(&mut self, name: &str, ty: TensorType) -> Result<ValueId, Reason> {
        self.check_new(name)?;
        let id = self.graph.add_value(name, ty);
        self.ids.insert(name.to_string(), id);
        Ok(id)
    }
}

/// `{name=value, ...}`, absent where the operator has no attributes.
fn attributes(op: &mut Op, lexer: &mut Lexer<'_>) -> Result<(), Reason> {
    if lexer.take("{") {
        read_fields(op, lexer)?;
        return lexer.expect("}", "`}`");
    }
    read_fields(op, &mut Lexer::new(""))
        .map_err(|_| format!("the attributes of `{}` are missing", op.name()))
}

fn value_name(lexer: &mut Lexer<'_>) -> Result<String, Reason> {
    lexer.expect("%", "`%` and a name")?;
    Ok(lexer.name("a name")?.into_owned())
}

fn typed(lexer: &mut Lexer<'_>) -> Result<(String, TensorType), Reason> {
    let name = value_name(lexer)?;
    lexer.expect(":", "`:` and a type")?;
    let dtype = lexer.word("an element type")?;
    let dtype = DType::from_name(dtype).ok_or_else(|| {
        let names = DType::ALL.map(DType::name).join(", ");
        format!("`{dtype}` is no element type: use one of {names}")
    })?;
    let mut shape = Vec::new();
    lexer.list("[", "]", |lexer| {
        shape.push(lexer.parse("an extent")?);
        Ok(())
    })?;
    let ty = TensorType::new(dtype, shape);
    ty.checked_len()?;
    Ok((name, ty))
}

fn constant(ty: &TensorType, lexer: &mut Lexer<'_>) -> Result<Tensor, Reason> {
    let data = if lexer.peek() == "[" {
        decimal(ty.dtype, lexer)?
    } else {
        let word = lexer.word("`[` or `0x`")?;
        if word == "..." {
            return Err("the data was left out of this text: print it with data".into());
        }
        let digits = word.strip_prefix("0x");
        let digits = digits.ok_or_else(|| lexer.unexpected(word, "`[` or `0x`"))?;
        from_hex(ty.dtype, digits)?
    };
    let len = match &data {
        Data::F32(v) => v.len(),
        Data::I64(v) => v.len(),
        Data::I32(v) => v.len(),
        Data::I8(v) => v.len(),
        Data::U8(v) => v.len(),
    };
    if len != ty.len() {
        return Err(format!(
            "{len} elements are given for {ty}, which has {}",
            ty.len()
        ));
    }
    let tensor = Tensor::new(ty.clone(), data);
    check_elements(&tensor)?;
    Ok(tensor)
}

fn decimal(dtype: DType, lexer: &mut Lexer<'_>) -> Result<Data, Reason> {
    fn items<T>(
        lexer: &mut Lexer<'_>,
        item: impl Fn(&mut Lexer<'_>) -> Result<T, Reason>,
    ) -> Result<Vec<T>, Reason> {
        let mut v = Vec::new();
        lexer.list("[", "]", |lexer| {
            v.push(item(lexer)?);
            Ok(())
        })?;
        Ok(v)
    }
    Ok(match dtype {
        DType::F32 => Data::F32(items(lexer, read_f32)?),
        DType::I64 => Data::I64(items(lexer, |l| l.parse("a 64-bit integer"))?),
        DType::I32 => Data::I32(items(lexer, |l| l.parse("a 32-bit integer"))?),
        DType::U8 | DType::Bool => Data::U8(items(lexer, |l| l.parse("0 to 255"))?),
        DType::I8 | DType::I4 | DType::I2 | DType::I1 | DType::S1 => {
            Data::I8(items(lexer, |l| l.parse("-128 to 127"))?)
        }
    })
}

/// The value of each hexadecimal digit; 255 for other characters.
const NIBBLE: [u8; 256] = {
    let mut table = [255; 256];
    let mut i = 0;
    while i < 16 {
        table[b"0123456789abcdef"[i] as usize] = i as u8;
        i += 1;
    }
    table
};

/// The little-endian bytes of each element.
fn from_hex(dtype: DType, digits: &str) -> Result<Data, Reason> {
    fn elements<const N: usize, T>(bytes: &[u8], f: fn([u8; N]) -> T) -> Result<Vec<T>, Reason> {
        let parts = bytes.chunks_exact(N);
        if !parts.remainder().is_empty() {
            return Err(format!("{} bytes do not divide into elements", bytes.len()));
        }
        Ok(parts.map(|b| f(b.try_into().expect("N bytes"))).collect())
    }
    let mut bytes = Vec::with_capacity(digits.len() / 2);
    let mut bad = digits.len() % 2 == 1;
    for pair in digits.as_bytes().chunks_exact(2) {
        let [high, low] = [pair[0], pair[1]].map(|c| NIBBLE[usize::from(c)]);
        bad |= high > 15 || low > 15;
        bytes.push(high << 4 | low);
    }
    if bad {
        return Err("the data is not pairs of lower-case hexadecimal digits".into());
    }
    Ok(match dtype {
        DType::F32 => Data::F32(elements(&bytes, f32::from_le_bytes)?),
        DType::I64 => Data::I64(elements(&bytes, i64::from_le_bytes)?),
        DType::I32 => Data::I32(elements(&bytes, i32::from_le_bytes)?),
        DType::U8 | DType::Bool => Data::U8(bytes),
        DType::I8 | DType::I4 | DType::I2 | DType::I1 | DType::S1 => {
            Data::I8(elements(&bytes, i8::from_le_bytes)?)
        }
    })
}
