package backends

import (
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(consumerEnv); path != "" {
		consumeForever(path) // a child of TestConsumeSurvivesKill
	}
	if as := os.Getenv(execEnv); as != "" {
		execForever(strings.TrimPrefix(as, ":")) // a child of TestExecDiesWithHostd
		return
	}
	goleak.VerifyTestMain(m)
}
