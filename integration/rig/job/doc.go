// Package job is the protocol between the rig on the host and guestinit, the
// PID 1 of a test guest: one JSON object a line, both ways, over a
// virtio-serial port of its own. The host sends a Command; the guest answers it
// with one or more Answers that carry the command's ID, the final one marked
// Last. Commands run side by side, so that one boot serves many checks.
//
// The promise: every Command gets exactly one Last answer, unless the guest
// dies first.
package job
