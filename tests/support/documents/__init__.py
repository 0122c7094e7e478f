"""Documents of every format, written part by part: good ones, broken ones and hostile ones.

`books` writes one book in each format; `checks` reads it back span by span."""
