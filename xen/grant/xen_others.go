//go:build !linux

package grant

import (
	"errors"

	"headgate/xen/evtchn"
)

// Pages is memory that two domains have; this system has none.
type Pages struct{}

// Share always fails here.
func Share(uint16, int) (*Pages, error) { return nil, failed("share", "pages", errors.ErrUnsupported) }

// Map always fails here.
func Map(uint16, []Ref) (*Pages, error) { return nil, failed("map", "pages", errors.ErrUnsupported) }

// Bytes is nil here.
func (*Pages) Bytes() []byte { return nil }

// Refs is nil here.
func (*Pages) Refs() []Ref { return nil }

// NotifyOnUnmap always fails here.
func (*Pages) NotifyOnUnmap(int, evtchn.Port) error { return errors.ErrUnsupported }

// Close always fails here.
func (*Pages) Close() error { return errors.ErrUnsupported }
