// Package ratelimit shares one scarce supply of bytes among many guests.
//
// It keeps these promises:
//
//   - A tap never gives more than its own bucket allows (rate and burst).
//   - In plenty a byte meets only its own tap's lock. Where the supply is
//     short, waiting taps share it by weight, max-min fair, and the share of
//     an idle tap goes to the others.
//   - A guest that has not had its first 64 bytes goes ahead of all others,
//     out of a part of the supply kept for that, as an advance charged to its
//     own bucket and share: to reconnect gains nothing.
//   - Nothing polls: a blocked reader is woken by the supply or by one timer.
//
// The pure parts, bucket.go (how fast) and order.go (who is next), have no
// goroutine, no lock and no clock; scheduler.go puts the lock and the supply
// around the order, tap.go makes an io.Reader of it.
package ratelimit
