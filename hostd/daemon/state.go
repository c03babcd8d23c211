package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"headgate/hostd/control"
)

// stateVersion is the version of the state file's form.
const stateVersion = 1

// state is the file that keeps guests added live over a restart. It holds no
// entropy and no secret.
type state struct {
	Version int                 `json:"version"`
	Guests  []control.GuestSpec `json:"guests"`
}

// loadState reads the state file; that there is none yet is no error. One that
// cannot be understood is put aside: a mistake in it must not keep the guests of
// the configuration from being served, and its text is not lost.
func loadState(path string) (state, error) {
	empty := state{Version: stateVersion}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return empty, nil
	}
	if err != nil {
		return empty, fmt.Errorf("read state: %w: guests added live are not back", err)
	}
	var s state
	err = json.Unmarshal(data, &s)
	if err == nil && s.Version == stateVersion {
		return s, nil
	}
	if err == nil {
		err = fmt.Errorf("version %d, this hostd reads version %d", s.Version, stateVersion)
	}
	aside := path + ".bad"
	if renamed := os.Rename(path, aside); renamed != nil {
		err = errors.Join(err, renamed)
	}
	return empty, fmt.Errorf("read state %s: %w: guests added live are not back; what was in it is in %s", path, err, aside)
}

// save writes the state file so that a crash leaves the old one or the new one.
func (s state) save(path string) (err error) {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	tmp, err := os.CreateTemp(dir, ".state-")
	if err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	defer func() {
		if err != nil {
			tmp.Close()
			os.Remove(tmp.Name())
			err = fmt.Errorf("write state: %w", err)
		}
	}()
	if _, err := tmp.Write(append(data, '\n')); err != nil {
		return err
	}
	if err := tmp.Sync(); err != nil {
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

// syncDir makes a rename in dir last over a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
