// Package pipetest is the contract that every pipe that speaks feed is held to.
//
// A package that has such a pipe calls Run in a test of its own, with a way to make
// one and to be the guest at its other end.
package pipetest
