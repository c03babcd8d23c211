//go:build amd64 || arm64

package backends

import "runtime"

// counterName says what timeStamp reads.
var counterName = map[string]string{"amd64": "rdtsc", "arm64": "cntvct_el0"}[runtime.GOARCH]

// timeStamp returns the time-stamp counter, after all loads before it are done.
func timeStamp() uint64
