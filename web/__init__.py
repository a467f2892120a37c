"""The HTTP API and the pages: a request becomes a use case or a read, its answer JSON or a page, without a rule."""
