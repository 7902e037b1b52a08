//! Tables of text with aligned columns.

use crate::sys::printable;

/// What a page should fit into.
const WIDTH: usize = 100;

/// Between two columns.
const GAP: &str = "  ";

/// In place of what is not known.
const UNKNOWN: &str = "-";

/// A table under construction.
#[derive(Debug)]
pub(super) struct Table {
    heads: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(heads: &[&'static str]) -> Self {
        Self {
            heads: heads.to_vec(),
            rows: Vec::new(),
        }
    }

    /// One more row: a cell for each head; an empty one is not known.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let mut cells: Vec<String> = cells
            .into_iter()
            .map(|cell| printable::blanked(&cell))
            .collect();
        cells.resize(self.heads.len(), String::new());
        self.rows.push(cells);
    }

    /// The lines, indented by one gap. A column in which nothing is known is left out. Where the
    /// table is wider than the page, the last column goes below each row, with its name.
    pub(super) fn lines(&self) -> String {
        let columns: Vec<usize> = (0..self.heads.len())
            .filter(|column| self.rows.iter().any(|row| !row[*column].is_empty()))
            .collect();
        let widths: Vec<usize> = columns
            .iter()
            .map(|column| {
                let cells = self.rows.iter().map(|row| width(&row[*column]));
                cells.chain([self.heads[*column].len()]).max().unwrap_or(0)
            })
            .collect();
        let total: usize = widths.iter().map(|width| width + GAP.len()).sum();
        let beside = if total > WIDTH && columns.len() > 2 {
            columns.len() - 1
        } else {
            columns.len()
        };
        let columns = || columns.iter().copied().zip(widths.iter().copied());
        let mut text = String::new();
        push_line(
            &mut text,
            columns()
                .take(beside)
                .map(|(column, width)| (self.heads[column], width)),
        );
        for row in &self.rows {
            push_line(
                &mut text,
                columns().take(beside).map(|(column, width)| {
                    let cell = row[column].as_str();
                    (if cell.is_empty() { UNKNOWN } else { cell }, width)
                }),
            );
            for (column, _) in columns().skip(beside) {
                if !row[column].is_empty() {
                    let head = self.heads[column].to_lowercase();
                    text.push_str(&format!("{GAP}{GAP}{head} {}\n", row[column]));
                }
            }
        }
        text
    }
}

fn push_line<'c>(text: &mut String, cells: impl Iterator<Item = (&'c str, usize)>) {
    let mut line = String::new();
    for (cell, columns) in cells {
        line.push_str(GAP);
        line.push_str(cell);
        line.extend(std::iter::repeat_n(
            ' ',
            columns.saturating_sub(width(cell)),
        ));
    }
    text.push_str(line.trim_end());
    text.push('\n');
}

fn width(cell: &str) -> usize {
    cell.chars().count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table(rows: &[[&str; 3]]) -> String {
        let mut table = Table::new(&["NAME", "SIZE", "PATH"]);
        for row in rows {
            table.row(row.map(str::to_owned));
        }
        table.lines()
    }

    #[test]
    fn columns_are_aligned() {
        assert_eq!(
            table(&[["sda", "1 TB", "pci-1"], ["nvme0n1", "", "\x1b[2Jä"]]),
            "  NAME     SIZE  PATH\n  sda      1 TB  pci-1\n  nvme0n1  -     [2Jä\n"
        );
    }

    #[test]
    fn a_column_in_which_nothing_is_known_is_left_out() {
        assert_eq!(table(&[["sda", "", "x"]]), "  NAME  PATH\n  sda   x\n");
    }

    #[test]
    fn what_does_not_fit_goes_below() {
        let long = "x".repeat(95);
        assert_eq!(
            table(&[["sda", "1 TB", &long]]),
            format!("  NAME  SIZE\n  sda   1 TB\n    path {long}\n")
        );
    }

    proptest! {
        #[test]
        fn any_cells_are_lines(rows in prop::collection::vec([".{0,60}", ".{0,60}", ".{0,60}"], 0..5)) {
            let mut table = Table::new(&["A", "B", "C"]);
            for row in &rows {
                table.row(row.clone());
            }
            let text = table.lines();
            prop_assert!(text.lines().count() <= 2 * (rows.len() + 1));
            prop_assert!(text.chars().all(|c| printable::is_visible(c) || c == '\n'));
        }
    }
}
