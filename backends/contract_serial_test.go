package backends

import "testing"

func init() {
	subjects["serial"] = func(t *testing.T, h float64) subject {
		path, master := newTTY(t)
		return subject{source: build(t, Config{Type: "serial", Path: path, MinEntropy: h}), write: writer(t, master)}
	}
	subjects["serial with a start command"] = func(t *testing.T, h float64) subject {
		path, master := newTTY(t)
		return subject{source: build(t, Config{Type: "serial", Path: path, Start: "cmdO\n", Speed: 115200, MinEntropy: h}), write: writer(t, master)}
	}
}
