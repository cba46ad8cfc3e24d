//! Places in a cell: Jupyter counts characters (Unicode code points), the cells' room counts bytes.

/// The byte where character `position` of `cell` begins; its end for one beyond.
pub(super) fn byte_of(cell: &str, position: usize) -> usize {
    cell.char_indices().nth(position).map_or(cell.len(), |(byte, _)| byte)
}

/// The number of characters before `byte` of `cell`.
pub(super) fn position_of(cell: &str, byte: usize) -> usize {
    cell.char_indices().take_while(|(start, _)| *start < byte).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crab_is_one_character_of_four_bytes() {
        let cell = "\"🦀\".le";
        for (position, byte) in [(0, 0), (1, 1), (2, 5), (3, 6), (6, 9)] {
            assert_eq!(byte_of(cell, position), byte);
            assert_eq!(position_of(cell, byte), position);
        }
        assert_eq!(byte_of(cell, 99), cell.len());
        assert_eq!(position_of(cell, 99), 6);
    }
}
