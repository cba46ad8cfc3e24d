//! Files that are no rows at all, told by their first bytes, so that who gives one is told what it is
//! in place of the first byte that was odd about it.

/// A kind of file that is not read, with advice.
pub(super) struct Foreign {
    pub(super) what: &'static str,
    pub(super) advice: &'static str,
}

const UNPACK: &str = "unpack it and give the file that is in it; .gz and .zst are read as they are";
const EXPORT: &str = "save it as CSV (UTF-8) or Parquet";

/// Marks at the beginning of a file.
const MARKS: [(&[u8], &str, &str); 18] = [
    (b"BZh", "a bzip2 file", UNPACK),
    (b"\xfd7zXZ\0", "an xz file", UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK),
    (b"Rar!\x1a\x07", "a RAR archive", UNPACK),
    (b"\x04\x22\x4d\x18", "an lz4 file", UNPACK),
    (b"%PDF-", "a PDF document", EXPORT),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document, such as .xls", EXPORT),
    (b"{\\rtf", "an RTF document", EXPORT),
    (b"SQLite format 3\0", "an SQLite database", "export the table, with `.mode csv` of sqlite3"),
    (b"Obj\x01", "an Avro file", EXPORT),
    (b"ORC", "an ORC file", EXPORT),
    (b"FEA1", "a Feather file of version 1", "write it in version 2, or as Parquet"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", EXPORT),
    (b"\x93NUMPY", "a NumPy array", EXPORT),
    (b"\x80\x04\x95", "a Python pickle", EXPORT),
    (b"\x80\x05\x95", "a Python pickle", EXPORT),
    (b"\x89PNG", "a picture", EXPORT),
    (b"\x7fELF", "a program", EXPORT),
];

const GIT_LFS: &[u8] = b"version https://git-lfs.github.com/spec/";

/// The kind of the file that begins with `head`, if it is one of these.
pub(super) fn foreign(head: &[u8]) -> Option<Foreign> {
    let is_in = |part: &[u8]| head.windows(part.len()).any(|window| window == part);
    if head.starts_with(b"PK\x03\x04") {
        let is_office = is_in(b"[Content_Types].xml") || is_in(b"xl/") || is_in(b"word/");
        return Some(match is_office || is_in(b"mimetypeapplication/vnd.") {
            true => Foreign { what: "an Office document, such as .xlsx", advice: EXPORT },
            false => Foreign { what: "a zip archive", advice: UNPACK },
        });
    }
    if head.starts_with(GIT_LFS) {
        let advice = "it stands for the file: fetch that with `git lfs pull`";
        return Some(Foreign { what: "a pointer of Git LFS", advice });
    }
    if head.get(257..262) == Some(b"ustar") {
        return Some(Foreign { what: "a tar archive", advice: UNPACK });
    }
    let start = head.trim_ascii_start();
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    let is_page =
        |tag: &[u8]| start.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag));
    if is_page(b"<!doctype html") || is_page(b"<html") {
        let advice = "what was downloaded is a page about the data: download the file itself";
        return Some(Foreign { what: "a web page", advice });
    }
    if start.starts_with(b"<?xml") {
        return Some(Foreign { what: "an XML document", advice: EXPORT });
    }
    let (_, what, advice) = MARKS.into_iter().find(|(mark, _, _)| {
        // ORC is also how a column may be called.
        head.starts_with(mark) && (*mark != b"ORC" || head.contains(&0))
    })?;
    Some(Foreign { what, advice })
}
