"""The shapes in which the data leave: one module a format, each a pure function of the database or its catalogue."""
