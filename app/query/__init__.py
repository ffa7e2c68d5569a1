"""Values without I/O: ids, filters, constraints, cursors."""
