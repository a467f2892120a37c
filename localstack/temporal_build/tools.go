//go:build tools

// Package tools names what is built here, so that go.mod keeps it: `go build github.com/temporalio/cli/cmd/temporal`.
//
// The SQLite driver is newer than the one of that release, 1.34.1: a query whose context ended while its first row came
// left its statement open. On the one connection that the server has to its file, the write-ahead log then grew without
// end, and the next statement that was interrupted left all later ones interrupted, for good.
package tools

import _ "github.com/temporalio/cli/cmd/temporal"
