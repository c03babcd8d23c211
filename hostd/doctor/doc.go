// Package doctor says what is wrong with a host that feeds libvirt's domains or Xen's.
//
// The promise: what it finds it found by looking alone, it connects to no guest's
// socket and changes nothing; every judgement is a pure function of the facts that
// one look took; and every note and fault says what mends it: a command, or where
// none does it, what to write and where.
package doctor
