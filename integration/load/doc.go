// Package load puts a real hostd under the load of many clients and measures what
// each of them gets. `make bench` runs it whole, the tests run it shortened.
package load
