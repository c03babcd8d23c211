// Package config reads hostd's configuration.
//
// The promise: a Config that Load or Parse returns is whole and sane, so that
// nobody behind it checks again; and of a file that is wrong every mistake is
// told at once, each with its line, its key and what is allowed. The embedded
// reference.toml is the documentation of every key, and Default is its meaning.
package config
