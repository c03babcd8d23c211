package tsc

import "testing"

func TestNowAdvances(t *testing.T) {
	before := Now()
	for range 1000 {
		if now := Now(); now < before {
			t.Fatalf("%d after %d", now, before)
		} else if now > before {
			return
		}
	}
	t.Error("the counter stands still")
}
