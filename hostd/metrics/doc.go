// Package metrics shows hostd's state to Prometheus. It keeps no state of its own
// but one histogram: each scrape reads a status snapshot, so that counting costs
// nothing on the way of a byte.
package metrics
