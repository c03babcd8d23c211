//go:build linux

package rig

import (
	"context"
	"sync"
	"testing"
	"time"
)

const buildLimit = 5 * time.Minute

// Once is what the tests of a package share: it is built when the first of them asks,
// and whoever asks fails if it cannot be.
func Once[T any](build func(context.Context) (T, error)) func(testing.TB) T {
	once := sync.OnceValues(func() (T, error) {
		ctx, cancel := context.WithTimeout(context.Background(), buildLimit)
		defer cancel()
		return build(ctx)
	})
	return func(t testing.TB) T {
		t.Helper()
		built, err := once()
		if err != nil {
			t.Fatal(err)
		}
		return built
	}
}
