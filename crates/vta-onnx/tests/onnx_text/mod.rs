//! A text form of ONNX files, for tests that a person can read, and its encoder.
//!
//! ```text
//! opset 13
//! input x: f32[N,2]
//! const w: f32[2,3] = 1 2 3 4 5 6
//! y = Gemm(x, w) transB=0 alpha=0.5 name="dense"
//! output y
//! ```
//!
//! Lines that begin with `;` are comments. A constant without values holds a ramp. An attribute is an integer, a number with a point,
//! `[integers]`, `"text"` or `f32[2]:1,2`. The encoder is apart from the crate's own messages,
//! so that a wrong field number there does not go unnoticed.

#![allow(dead_code)]

/// The bytes of the file that a text describes.
pub(crate) fn encode(text: &str) -> Result<Vec<u8>, String> {
    let mut opset = 13;
    let mut graph = Message::default();
    graph.text(2, "g");
    let lines = text.lines().map(str::trim);
    for line in lines.filter(|l| !l.is_empty() && !l.starts_with(';')) {
        let bad = || format!("cannot read `{line}`");
        let (word, rest) = line.split_once(' ').ok_or_else(bad)?;
        match word {
            "opset" => opset = rest.parse().map_err(|_| bad())?,
            "input" => {
                let (name, ty) = rest.split_once(": ").ok_or_else(bad)?;
                graph.message(11, value_info(name, ty).ok_or_else(bad)?);
            }
            "const" => {
                let (name, ty) = rest.split_once(": ").ok_or_else(bad)?;
                let (ty, values) = ty.split_once(" = ").unwrap_or((ty, ""));
                graph.message(5, tensor(name, ty, values).ok_or_else(bad)?);
            }
            "output" => {
                let mut info = Message::default();
                info.text(1, rest);
                graph.message(12, info);
            }
            _ => graph.message(1, node(line).ok_or_else(bad)?),
        }
    }
    let mut set = Message::default();
    set.int(2, opset);
    let mut model = Message::default();
    model.int(1, 8);
    model.message(7, graph);
    model.message(8, set);
    Ok(model.0)
}

/// A protocol buffer in the making.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut v: u64) {
        while v >= 128 {
            self.0.push(v as u8 | 128);
            v >>= 7;
        }
        self.0.push(v as u8);
    }

    fn int(&mut self, field: u64, v: i64) {
        self.varint(field << 3);
        self.varint(v as u64);
    }

    fn float(&mut self, field: u64, v: f32) {
        self.varint(field << 3 | 5);
        self.0.extend(v.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, v: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(v.len() as u64);
        self.0.extend(v);
    }

    fn text(&mut self, field: u64, v: &str) {
        self.bytes(field, v.as_bytes());
    }

    fn message(&mut self, field: u64, m: Message) {
        self.bytes(field, &m.0);
    }
}

/// `f32[1,N]` as the code of the element type and the extents.
fn split_type(ty: &str) -> Option<(i64, Vec<&str>)> {
    let (name, dims) = ty.strip_suffix(']')?.split_once('[')?;
    let names = [
        "f32", "u8", "i8", "u16", "i16", "i32", "i64", "text", "bool", "f16",
    ];
    let code = names.iter().position(|n| *n == name)? as i64 + 1;
    Some((code, dims.split(',').filter(|d| !d.is_empty()).collect()))
}

fn value_info(name: &str, ty: &str) -> Option<Message> {
    let (code, dims) = split_type(ty)?;
    let mut shape = Message::default();
    for d in dims {
        let mut dim = Message::default();
        match d.parse() {
            Ok(v) => dim.int(1, v),
            Err(_) => dim.text(2, d),
        }
        shape.message(1, dim);
    }
    let mut tensor = Message::default();
    tensor.int(1, code);
    tensor.message(2, shape);
    let mut ty = Message::default();
    ty.message(1, tensor);
    let mut info = Message::default();
    info.text(1, name);
    info.message(2, ty);
    Some(info)
}

fn tensor(name: &str, ty: &str, values: &str) -> Option<Message> {
    let (code, dims) = split_type(ty)?;
    let dims: Vec<i64> = dims.iter().map(|d| d.parse().ok()).collect::<Option<_>>()?;
    let mut values: Vec<f64> = values
        .split([' ', ','])
        .filter(|v| !v.is_empty())
        .map(|v| v.parse().ok())
        .collect::<Option<_>>()?;
    if values.is_empty() {
        values = (0..dims.iter().product()).map(ramp).collect();
    }
    let raw: Vec<u8> = match code {
        1 => values
            .iter()
            .flat_map(|&v| (v as f32).to_le_bytes())
            .collect(),
        2 => values.iter().map(|&v| v.abs() as u8).collect(),
        3 | 9 => values.iter().map(|&v| v as i8 as u8).collect(),
        6 => values
            .iter()
            .flat_map(|&v| (v as i32).to_le_bytes())
            .collect(),
        7 => values
            .iter()
            .flat_map(|&v| (v as i64).to_le_bytes())
            .collect(),
        _ => Vec::new(),
    };
    let mut t = Message::default();
    dims.iter().for_each(|&d| t.int(1, d));
    t.int(2, code);
    t.text(8, name);
    t.bytes(9, &raw);
    Some(t)
}

/// Small numbers of both signs, some of them whole.
pub(crate) fn ramp(i: i64) -> f64 {
    ((i * 5) % 13 - 6) as f64 * 0.5
}

fn node(line: &str) -> Option<Message> {
    let (outputs, call) = line.split_once(" = ")?;
    let (op, rest) = call.split_once('(')?;
    let (inputs, attributes) = rest.split_once(')')?;
    let mut n = Message::default();
    if !inputs.is_empty() {
        inputs.split(',').for_each(|i| n.text(1, i.trim()));
    }
    outputs.split(',').for_each(|o| n.text(2, o.trim()));
    match op.rsplit_once("::") {
        Some((domain, op)) => {
            n.text(4, op);
            n.text(7, domain);
        }
        None => n.text(4, op),
    }
    for a in attributes.split_whitespace() {
        let (name, value) = a.split_once('=')?;
        match (name, unquoted(value)) {
            ("name", Some(v)) => n.text(3, v),
            _ => n.message(5, attribute(name, value)?),
        }
    }
    Some(n)
}

fn unquoted(value: &str) -> Option<&str> {
    value.strip_prefix('"')?.strip_suffix('"')
}

fn attribute(name: &str, value: &str) -> Option<Message> {
    let mut a = Message::default();
    a.text(1, name);
    let kind = if let Some(v) = unquoted(value) {
        a.text(4, v);
        3
    } else if let Some(list) = value.strip_prefix('[') {
        for v in list.strip_suffix(']')?.split(',').filter(|v| !v.is_empty()) {
            a.int(8, v.parse().ok()?);
        }
        7
    } else if let Some((ty, values)) = value.split_once(':') {
        a.message(5, tensor("", ty, values)?);
        4
    } else if let Ok(v) = value.parse() {
        a.int(3, v);
        2
    } else {
        a.float(2, value.parse().ok()?);
        1
    };
    a.int(20, kind);
    Some(a)
}
