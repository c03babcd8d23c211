// Package sources tests every kind of noise source with the real hostd: the real
// device where this machine has one, else what comes nearest to it (a pty, swtpm, a
// daemon of Debian's), and what guests get when sources fail, go away and come back.
package sources
