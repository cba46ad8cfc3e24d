//! What runs beside a cell's own code, inside the child process.
