//go:build !amd64 && !arm64

package backends

import "time"

const counterName = "monotonic clock"

var timeStampBase = time.Now()

// timeStamp returns nanoseconds of the monotonic clock, for want of a counter that
// can be read from here.
func timeStamp() uint64 { return uint64(time.Since(timeStampBase)) }
