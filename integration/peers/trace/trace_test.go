package trace

import (
	"strings"
	"testing"
)

// Lines as strace 6.1 writes them, of several peers.
const seen = `85    1795354646.555791 ioctl(3, RNDADDENTROPY, {entropy_count=80, buf_size=10, buf=""...}) = 0
85    1795354646.559991 ioctl(3, RNDRESEEDCRNG) = -1 ENODATA (No data available)
85    1795354646.582944 ioctl(3, RNDRESEEDCRNG) = 0
85    1795354646.585608 ioctl(3, RNDADDENTROPY, {entropy_count=0, buf_size=4, buf=""...}) = 0
85    1795354646.710240 ioctl(4, RNDGETENTCNT, [254]) = 0
91    1795354646.720240 ioctl(4, RNDADDENTROPY, {entropy_count=512, buf_size=64, buf=""...} <unfinished ...>
85    1795354646.720251 +++ exited with 0 +++
91    1795354646.720342 <... ioctl resumed>) = 0
91    1795354646.720352 ioctl(4, RNDADDENTROPY, {entropy_count=512, buf_size=64, buf=""...}) = -1 EPERM (Operation not permitted)
91    1795354646.720362 ioctl(4, RNDADDENTROPY, {entropy_count=51`

func TestSummarize(t *testing.T) {
	got, err := Summarize(strings.NewReader(seen))
	want := Summary{Adds: 3, Credits: 2, Bits: 592, Bytes: 78, Reseeds: 2, Refused: 1}
	if err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	if since := got.Since(Summary{Adds: 1, Credits: 1, Bits: 80, Bytes: 10, Reseeds: 1, Refused: 1}); since != (Summary{Adds: 2, Credits: 1, Bits: 512, Bytes: 68, Reseeds: 1}) {
		t.Errorf("since: %+v", since)
	}
}

// Whatever a traced program makes strace write, no count is negative and no more is
// credited than added.
func FuzzSummarize(f *testing.F) {
	f.Add(seen)
	f.Add("RNDADDENTROPY entropy_count=99999999999, buf_size=-1,")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Summarize(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		lines := 1 + strings.Count(text, "\n")
		if s.Credits < 0 || s.Credits > s.Adds || s.Refused > s.Reseeds || s.Adds+s.Reseeds > lines || s.Bits < 0 || s.Bytes < 0 {
			t.Errorf("%+v of %q", s, text)
		}
	})
}
