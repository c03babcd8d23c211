package libvirt

import (
	"encoding/hex"
	"fmt"
	"strings"

	rpc "github.com/digitalocean/go-libvirt"
)

// parseUUID reads a UUID as libvirt does (virUUIDParse): hex digits of either case,
// with dashes or without.
func parseUUID(s string) (rpc.UUID, error) {
	var u rpc.UUID
	digits := strings.ReplaceAll(strings.TrimSpace(s), "-", "")
	if len(digits) != hex.EncodedLen(len(u)) {
		return u, fmt.Errorf("%.80q is no UUID", s)
	}
	if _, err := hex.Decode(u[:], []byte(digits)); err != nil {
		return u, fmt.Errorf("%.80q is no UUID: %w", s, err)
	}
	return u, nil
}

// textOf writes a UUID as libvirt does: lower case, with dashes.
func textOf(u rpc.UUID) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[0:4], u[4:6], u[6:8], u[8:10], u[10:16])
}
