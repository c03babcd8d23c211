//go:build linux

package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	twins "headgate/integration/clones"
	"headgate/integration/peers/trace"
)

func until(d time.Duration, equal int) twins.Twins {
	return twins.Twins{Equal: equal, Until: [2]time.Duration{d / 2, d}}
}

func TestTable(t *testing.T) {
	rows := []row{
		{peer: peer{name: "nothing"}, clones: clones{watch: watchAged, pairs: []twins.Twins{until(58777*time.Millisecond, 21000)}}},
		{
			peer:   peer{name: "jitter", debian: "jitter-rngd", command: []string{"jitter-rngd"}},
			credit: credit{ready: 2340 * time.Millisecond, trace: trace.Summary{Adds: 13, Credits: 10, Bits: 1792, Reseeds: 7, Refused: 3}},
			clones: clones{watch: watchAged, trace: trace.Summary{Adds: 12, Credits: 12, Bits: 3072}, pairs: []twins.Twins{until(65900*time.Millisecond, 25000)}},
		},
		{
			peer:   peer{name: "early", debian: "early", command: []string{"early"}},
			credit: credit{trace: trace.Summary{Adds: 4, Reseeds: 3, Refused: 3}},
			clones: clones{watch: watchAged, pairs: []twins.Twins{until(12*time.Second, 400)}},
		},
		{peer: peer{name: "broken", command: []string{"broken"}}, trouble: errors.New("exit 1\nand why")},
		{
			peer:   peer{name: "vmgenid", vmgenid: true, atOnce: true},
			clones: clones{watch: watchYoung, pairs: []twins.Twins{until(0, 0), until(42100*time.Microsecond, 2), until(9*time.Millisecond, 2)}},
		},
		{
			peer:   peer{name: "guestd", port: true, atOnce: true, command: []string{"guestd"}},
			credit: credit{ready: 780 * time.Millisecond, trace: trace.Summary{Adds: 2, Credits: 1, Bits: 1024, Reseeds: 1}},
			clones: clones{watch: watchYoung, said: "clock, push", pairs: []twins.Twins{until(0, 0), until(0, 0)}},
		},
	}
	want := `
| beside the kernel | credits | generator ready | reseeds at once | in a clone | clones give the same for |
| --- | --- | --- | --- | --- | --- |
| nothing | – | not in 12 s | – | – | 59 s |
| jitter (jitter-rngd 1.2.8) | 1792 bits | 2.3 s | at its start alone | 3072 bits credited, no reseed | more than 66 s |
| early 1.0 | no | not in 12 s | no | nothing | 12 s |
| broken | not measured: exit 1 |  |  |  |  |
| vmgenid | – | – | – | the kernel reseeds | 43 ms, the worst of 3 pairs |
| guestd | 1024 bits | 0.8 s | yes | reseeds: clock, push | no output the same in 2 pairs |
`
	got := table(rows, map[string]string{"jitter-rngd": "1.2.8", "early": "1.0"})
	if got != strings.TrimPrefix(want, "\n") {
		t.Errorf("got\n%s\nwant%s", got, want)
	}
}

func TestChosen(t *testing.T) {
	var names []string
	for _, p := range chosen("RNGD,broker") {
		names = append(names, p.name)
	}
	if got := strings.Join(names, ", "); got != "rngd, jitterentropy-rngd, Entropy Broker's client" {
		t.Error(got)
	}
	if len(chosen("")) != len(peers) {
		t.Error("no words: not every peer")
	}
}
