package feed

import "testing"

func TestKnownReason(t *testing.T) {
	for reason, want := range map[string]string{
		ReasonPush: ReasonPush, ReasonClock: ReasonClock, ReasonOther: ReasonOther,
		"": ReasonOther, "Push": ReasonOther, "push\n": ReasonOther,
	} {
		if got := KnownReason(reason); got != want {
			t.Errorf("%q: %q, want %q", reason, got, want)
		}
	}
}
