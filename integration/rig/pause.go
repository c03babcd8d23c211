//go:build linux

package rig

import (
	"context"
	"testing"
	"time"
)

// Sleep waits, or ends with the context.
func Sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Pause is Sleep in a test, which ends when its time is over.
func Pause(ctx context.Context, t testing.TB, d time.Duration) {
	t.Helper()
	if err := Sleep(ctx, d); err != nil {
		t.Fatal(err)
	}
}
