// Package kernel says what hostd runs on: which Linux this is, and which capabilities it
// has left to a thread of hostd.
//
// It promises to look and to change nothing.
package kernel
