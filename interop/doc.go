// Package interop puts this project beside other people's work: their codecs
// as second opinions on ours, their TCP/IP stacks as peers of ours, their test
// suites on our adapters. It is a module of its own, so that the modules it
// needs stay out of the graph of those who use the project.
//
// There is no code to import here. The tests are the point:
//
//	go test ./...
//
// and the side-by-side benchmark:
//
//	go run ./bench
//
// See docs/performance.md for its last table.
package interop
