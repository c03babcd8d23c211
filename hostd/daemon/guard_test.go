package daemon

import (
	"errors"
	"strings"
	"testing"

	"headgate/hostd/config"
)

// What is said of a shield that lacks something, and who does not start with it.
func TestAShieldThatLacksAPart(t *testing.T) {
	first, second := errors.New("no cgroup"), errors.New("no seccomp")
	for mode, want := range map[string]string{
		config.GuardOn:  "the network guard is not up: no cgroup",
		config.GuardOff: "hostd keeps rights that it has no use for: no cgroup",
	} {
		s := &shield{mode: mode}
		if w := s.warning(); w != "" || s.lacks(nil) != nil {
			t.Errorf("%s: of a whole one is said: %q", mode, w)
		}
		if s.lacks(first) != nil || s.lacks(second) != nil {
			t.Errorf("%s: it is an error", mode)
		}
		if w := s.warning(); w != want || s.status().Error != first.Error() {
			t.Errorf("%s: %q, %+v", mode, w, s.status())
		}
	}
	err := (&shield{mode: config.GuardRequire}).lacks(first)
	if err == nil || !errors.Is(err, first) || !strings.Contains(err.Error(), `guard = "on"`) {
		t.Errorf("require: %v", err)
	}
}
