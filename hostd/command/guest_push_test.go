package command

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"headgate/hostd/control"
)

func TestGuestPush(t *testing.T) {
	r := newRig(t)
	r.fake.Snapshot.Guests = []control.GuestStatus{
		{Name: "all", Pipes: []control.PipeStatus{
			{Kind: "port", Path: "/run/all.port", Connected: true}, {Kind: "vchan", Path: "all", Connected: true},
			{Kind: "channel", Path: "/run/all.channel"}, {Kind: "qemu", Path: "/run/all.sock", Connected: true},
		}},
		{Name: "none", Pipes: []control.PipeStatus{{Kind: "qemu", Path: "/run/none.sock", Connected: true}, {Kind: "egd", Path: "/run/none.egd"}}},
	}
	code, out, errs := r.run(t, "guest", "push", "all")
	if code != 0 || errs != "" {
		t.Errorf("exit %d: %s", code, errs)
	}
	golden(t, "guest_push", out)
	code, out, _ = r.run(t, "guest", "push", "all", "--json")
	var p control.Push
	if err := json.Unmarshal([]byte(out), &p); err != nil || code != 0 || p.Guest != "all" {
		t.Fatalf("exit %d, %v: %s", code, err, out)
	}
	want := []control.PushResult{control.PushSent, control.PushRung, control.PushLater, control.PushNever}
	if got := results(p); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if code, out, errs := r.run(t, "guest", "push", "none"); code != 1 || out != "" ||
		errs != "hostd: guest none: invalid: no pipe of it reaches guestd\n" {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	_, out, _ = r.run(t, "guest", "push", "--help")
	golden(t, "help_guest_push", strings.ReplaceAll(out, os.Getenv("HEADGATE_CONTROL"), "SOCKET"))
}

func results(p control.Push) (all []control.PushResult) {
	for _, pipe := range p.Pipes {
		all = append(all, pipe.Result)
	}
	return all
}
