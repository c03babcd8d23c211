package events

import (
	"bytes"
	"log/slog"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// stepped is a log on a clock that the test moves.
func stepped(logger *slog.Logger) (*Log, *time.Time) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	l := New(logger)
	l.now = func() time.Time { return now }
	return l, &now
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestAddWritesToRingAndLog(t *testing.T) {
	var out bytes.Buffer
	l, now := stepped(slog.New(lineHandler(&out, "json", slog.LevelInfo)))
	fields := map[string]string{"test": "rct", "detail": "x"}
	l.Add(Event{Level: slog.LevelError, Kind: "source_failed", Subject: "trng0", Message: "stopped", Fields: fields})
	fields["test"] = "changed by the caller"

	want := []Event{{Seq: 1, Time: *now, Level: slog.LevelError, Kind: "source_failed", Subject: "trng0",
		Message: "stopped", Fields: map[string]string{"test": "rct", "detail": "x"}}}
	if got := l.Since(0); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
	l.lines.write()
	line := out.String()
	if i := strings.Index(line, `"level"`); i < 0 || line[i:] !=
		`"level":"ERROR","msg":"stopped","kind":"source_failed","subject":"trng0","detail":"x","test":"rct"}`+"\n" {
		t.Errorf("logged %s", line)
	}
}

func TestSinceKeepsTheLast(t *testing.T) {
	l, _ := stepped(quiet())
	const n = 3*Ring + 7
	for i := range n {
		l.Add(Event{Kind: "k", Subject: strconv.Itoa(i)})
	}
	all := l.Since(0)
	if len(all) != Ring || all[0].Seq != n-Ring+1 || all[Ring-1].Seq != n {
		t.Errorf("%d events, from %d to %d", len(all), all[0].Seq, all[len(all)-1].Seq)
	}
	for _, c := range []struct {
		since uint64
		want  int
	}{{n, 0}, {n - 1, 1}, {n + 5, 0}, {1<<64 - 1, 0}, {n - Ring - 1, Ring}} {
		if got := len(l.Since(c.since)); got != c.want {
			t.Errorf("since %d: %d events, want %d", c.since, got, c.want)
		}
	}
}

func TestFollowGoesOnBehindTheBacklog(t *testing.T) {
	l, _ := stepped(quiet())
	for i := range 3 {
		l.Add(Event{Kind: "old", Subject: strconv.Itoa(i)})
	}
	list, f := l.Follow(1)
	defer f.Close()
	l.Add(Event{Kind: "new"})
	if len(list) != 2 || list[0].Seq != 2 {
		t.Errorf("backlog %+v", list)
	}
	if e := <-f.C; e.Seq != 4 || e.Kind != "new" {
		t.Errorf("followed by %+v", e)
	}
	f.Close()
	if _, open := <-f.C; open {
		t.Error("open after Close")
	}
	l.Add(Event{Kind: "after"}) // must not send on the closed channel
}

func TestSlowFollowerIsTold(t *testing.T) {
	l, _ := stepped(quiet())
	_, f := l.Follow(0)
	defer f.Close()
	const extra = 10
	for i := range backlog + extra {
		l.Add(Event{Kind: "k", Subject: strconv.Itoa(i)})
	}
	for range backlog {
		<-f.C
	}
	l.Add(Event{Kind: "k", Subject: "next"})
	marker, next := <-f.C, <-f.C
	if marker.Kind != Dropped || marker.Seq != 0 || marker.Fields["dropped"] != strconv.Itoa(extra) {
		t.Errorf("told %+v", marker)
	}
	if next.Seq != backlog+extra+1 {
		t.Errorf("then %+v", next)
	}
}

// TestFollowersMissNothingSilently: what comes and what is said to be dropped
// add up, however the follower reads.
func TestFollowersMissNothingSilently(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l, _ := stepped(quiet())
		_, f := l.Follow(0)
		defer f.Close()
		added, seen := 0, uint64(0)
		read := func() {
			e := <-f.C
			if e.Kind == Dropped {
				n, _ := strconv.ParseUint(e.Fields["dropped"], 10, 64)
				seen += n
				return
			}
			seen++
			if e.Seq != seen {
				t.Fatalf("event %d after %d were accounted for", e.Seq, seen-1)
			}
		}
		for range rapid.IntRange(1, 20).Draw(t, "turns") {
			for range rapid.IntRange(0, 200).Draw(t, "add") {
				added++
				l.Add(Event{Kind: "k", Subject: strconv.Itoa(added)})
			}
			for range rapid.IntRange(0, len(f.C)).Draw(t, "read") {
				read()
			}
		}
		for len(f.C) > 0 {
			read()
		}
		if seen+f.missed != uint64(added) {
			t.Fatalf("%d of %d events accounted for", seen+f.missed, added)
		}
	})
}

func TestAddFromManyGoroutines(t *testing.T) {
	l := New(quiet())
	_, f := l.Follow(0)
	var adders sync.WaitGroup
	for g := range 8 {
		adders.Go(func() {
			for i := range 100 {
				l.Add(Event{Kind: strconv.Itoa(g), Subject: strconv.Itoa(i)})
				l.Since(uint64(i))
			}
		})
	}
	adders.Go(func() {
		for range f.C {
		}
	})
	for len(l.Since(799)) == 0 {
		<-time.After(time.Millisecond)
	}
	f.Close()
	adders.Wait()
}
