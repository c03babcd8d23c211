//go:build linux

package kernel

import (
	"strconv"
	"strings"
)

// Tested names the kernel if guests with it are booted by this project's tests, and
// is empty otherwise.
func Tested(release string) string {
	abi, found := strings.CutPrefix(release, "6.1.0-") // Debian keeps it through all of Debian 12
	abi, amd64 := strings.CutSuffix(abi, "-amd64")
	abi, cloud := strings.CutSuffix(abi, "-cloud")
	if _, err := strconv.ParseUint(abi, 10, 16); err != nil || !found || !amd64 {
		return ""
	}
	if cloud {
		return "Debian 12, cloud"
	}
	return "Debian 12, generic"
}

// since says whether release is that version of Linux or a later one. What is no
// version counts as the newest.
func since(release string, major, minor uint64) bool {
	first, rest, _ := strings.Cut(release, ".")
	a, err := strconv.ParseUint(first, 10, 16)
	if err != nil {
		return true
	}
	end := strings.IndexFunc(rest, func(c rune) bool { return c < '0' || c > '9' })
	if end >= 0 {
		rest = rest[:end]
	}
	b, err := strconv.ParseUint(rest, 10, 16)
	return err != nil || a > major || a == major && b >= minor
}
