package backends

import "testing"

func init() {
	fake := func(path func(*fakeTPM, testing.TB) string) func(t *testing.T, h float64) subject {
		return func(t *testing.T, h float64) subject {
			f := newFakeTPM(t)
			return subject{
				source: build(t, Config{Type: "tpm", Path: path(f, t), MinEntropy: h}),
				write:  func(p []byte) { f.samples <- p },
			}
		}
	}
	subjects["tpm: device"] = fake((*fakeTPM).device)
	subjects["tpm: socket"] = fake((*fakeTPM).socket)
	subjects["tpm: swtpm"] = func(t *testing.T, h float64) subject {
		return subject{source: build(t, Config{Type: "tpm", Path: startSWTPM(t, shortDir(t), "--tpm2").path, MinEntropy: h})}
	}
}
