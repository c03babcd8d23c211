//go:build race

package vhost

// raced is that the race detector is on, which needs memory of its own.
const raced = true
