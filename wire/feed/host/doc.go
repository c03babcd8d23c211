// Package host is hostd's end of a feed pipe.
//
// It promises that the first frame on every connection is a push of fresh bytes
// under a new epoch; that what the guest sends is always read, whether or not its
// last grant could be served; that a guest costs bounded memory however much it
// asks for; and that every byte of entropy is zeroed when it is written.
package host
