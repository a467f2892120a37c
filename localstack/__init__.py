"""The embedded servers of `make demo`, `make up` and the tests: real ones, with nothing to install by hand."""
