//go:build linux

package rig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// monitor is QEMU's machine protocol (docs/interop/qmp-spec.txt) over one
// connection. Events are passed over.
type monitor struct {
	mu      sync.Mutex
	conn    net.Conn
	answers *json.Decoder
	greeted bool
}

func newMonitor(conn net.Conn) *monitor {
	return &monitor{conn: conn, answers: json.NewDecoder(conn)}
}

func (m *monitor) close() { m.conn.Close() }

// execute runs one command; into, unless it is nil, gets what it returns.
func (m *monitor) execute(ctx context.Context, command string, arguments map[string]any, into any) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	stop := context.AfterFunc(ctx, func() { _ = m.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if !m.greeted {
		// Until then QEMU takes no other command.
		if err := m.ask("qmp_capabilities", nil, nil); err != nil {
			return err
		}
		m.greeted = true
	}
	return m.ask(command, arguments, into)
}

// human runs a command of the monitor for people and returns what it says.
func (m *monitor) human(ctx context.Context, command string) (text string, err error) {
	err = m.execute(ctx, "human-monitor-command", map[string]any{"command-line": command}, &text)
	return text, err
}

func (m *monitor) ask(command string, arguments map[string]any, into any) error {
	question := map[string]any{"execute": command}
	if arguments != nil {
		question["arguments"] = arguments
	}
	line, err := json.Marshal(question)
	if err != nil {
		return err
	}
	if _, err := m.conn.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("ask QEMU to %s: %w", command, err)
	}
	for {
		var answer struct {
			Return json.RawMessage `json:"return"`
			Error  *struct {
				Desc string `json:"desc"`
			} `json:"error"`
		}
		if err := m.answers.Decode(&answer); err != nil {
			return fmt.Errorf("ask QEMU to %s: %w", command, err)
		}
		switch {
		case answer.Error != nil:
			return fmt.Errorf("ask QEMU to %s: %w", command, errors.New(answer.Error.Desc))
		case answer.Return == nil: // its greeting, or an event
		case into == nil:
			return nil
		default:
			return json.Unmarshal(answer.Return, into)
		}
	}
}

// migrated looks at the state of a migration until it is over. It waits between two
// looks: QEMU is busy with it.
func (m *monitor) migrated(ctx context.Context) error {
	return m.await(ctx, "query-migrate", func(status string) (bool, error) {
		if status == "failed" || status == "cancelled" {
			return false, errors.New("QEMU could not write the guest's state: " + status)
		}
		return status == "completed", nil
	})
}

// await asks for a status until it is as wanted.
func (m *monitor) await(ctx context.Context, query string, is func(status string) (bool, error)) error {
	for {
		var answer struct {
			Status string `json:"status"`
		}
		if err := m.execute(ctx, query, nil, &answer); err != nil {
			return err
		}
		if ok, err := is(answer.Status); ok || err != nil {
			return err
		}
		select {
		case <-time.After(monitorEvery):
		case <-ctx.Done():
			return fmt.Errorf("%s: %w, and the status is %s", query, ctx.Err(), answer.Status)
		}
	}
}

// monitorEvery is how often await asks.
const monitorEvery = 5 * time.Millisecond
