// Package vhost holds the tests of the vhost-user pipe: a real hostd is the device of a
// real QEMU's vhost-user-rng, and of front ends that own their rings and misbehave.
package vhost
