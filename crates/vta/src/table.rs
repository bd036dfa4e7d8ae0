//! `labels.csv`: rows of comma-separated cells under a line of names.

use crate::{Error, Result};

/// The cells, by row.
pub(crate) struct Table {
    names: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Reads a table; a cell in double quotes may hold commas, line ends and doubled quotes.
    pub(crate) fn parse(text: &str) -> Result<Table> {
        let mut rows = records(text)?.into_iter();
        let names = rows.next().unwrap_or_default();
        let rows: Vec<_> = rows.collect();
        match rows.iter().position(|row| row.len() != names.len()) {
            Some(at) => Err(Error::input(format!(
                "row {} has {} cells, the first line names {}",
                at + 1,
                rows[at].len(),
                names.len()
            ))
            .help("quote cells that hold commas")),
            None => Ok(Table { names, rows }),
        }
    }

    /// The cells of a column, from the first row on; `None` if there is none of that name.
    pub(crate) fn column(&self, name: &str) -> Option<impl Iterator<Item = &str>> {
        let at = self.names.iter().position(|n| n == name)?;
        Some(self.rows.iter().map(move |row| row[at].as_str()))
    }
}

fn records(text: &str) -> Result<Vec<Vec<String>>> {
    let mut records = Vec::new();
    let (mut record, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => cell.extend(chars.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(std::mem::take(&mut cell)),
            '\r' if !quoted && chars.peek() == Some(&'\n') => {}
            '\n' if !quoted => {
                record.push(std::mem::take(&mut cell));
                records.push(std::mem::take(&mut record));
            }
            c => cell.push(c),
        }
    }
    if quoted {
        return Err(Error::input("a quoted cell does not end").help("close its double quotes"));
    }
    if !cell.is_empty() || !record.is_empty() {
        record.push(cell);
        records.push(record);
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_in_quotes() {
        let table = Table::parse("file,label\r\n\"a,\"\"b\"\"\",1\nc,2").unwrap();
        assert_eq!(
            table.column("file").unwrap().collect::<Vec<_>>(),
            ["a,\"b\"", "c"]
        );
        assert_eq!(
            table.column("label").unwrap().collect::<Vec<_>>(),
            ["1", "2"]
        );
        assert!(table.column("x").is_none());
        assert!(Table::parse("a,b\n1\n").is_err());
        assert!(Table::parse("a\n\"1\n").is_err());
    }
}
