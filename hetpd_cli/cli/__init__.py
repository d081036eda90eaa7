"""The command line: one module a command; they parse, call and print, and know no rule."""
