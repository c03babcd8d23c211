//go:build !amd64

package backends

func hasRDSEED() bool { return false }

func rdseed(int) (uint64, bool) { return 0, false }
