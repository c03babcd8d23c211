package backends

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(consumerEnv); path != "" {
		consumeForever(path) // a child of TestConsumeSurvivesKill
	}
	goleak.VerifyTestMain(m)
}
