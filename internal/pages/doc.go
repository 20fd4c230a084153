// Package pages tests what people read: the README, the pages in docs, and the reference pages that pkg.go.dev makes of
// the doc comments. It has nothing but tests.
package pages
