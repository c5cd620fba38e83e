"""The course in other languages, built from the English one.

`blocks` walks through a cell's text unit by unit (a paragraph, an item, a cell of a table, a comment, a part of a docstring), `sources`
collects the units of each catalogue, `catalogues` merges them into `locale/<language>/LC_MESSAGES/*.po`, `edition` builds the notebooks,
`kept` compares what a translation must not change.
"""
