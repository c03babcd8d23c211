package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"headgate/kvm"
)

// Bounds of what one request may cost.
const (
	maxBody        = 128 << 10 // bytes of JSON
	maxHeader      = 16 << 10  // bytes
	maxConns       = 64        // connections at once
	headerTimeout  = 5 * time.Second
	requestTimeout = 10 * time.Second // to send a request in full
	answerTimeout  = 30 * time.Second // to take an answer, or the next piece of one
	idleTimeout    = time.Minute
	closeTimeout   = 300 * time.Millisecond // for answers under way when the daemon stops
)

// Server answers on the control socket.
type Server struct {
	path   string
	http   *http.Server
	listen net.Listener
}

// NewServer makes a server for a socket path; metrics, which may be nil, answers
// GET /metrics.
func NewServer(path string, d Daemon, metrics http.Handler) *Server {
	return &Server{path: path, http: &http.Server{
		Handler:           Handler(d, metrics),
		MaxHeaderBytes:    maxHeader,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      answerTimeout,
		IdleTimeout:       idleTimeout,
		ErrorLog:          slog.NewLogLogger(slog.Default().Handler(), slog.LevelWarn),
	}}
}

// Listen makes the socket, mode 0600. A socket that a dead daemon left is
// replaced, a live one's refused.
func (s *Server) Listen() error {
	l, err := kvm.Listen(kvm.Socket{Path: s.path, UID: -1, GID: -1, Mode: 0o600})
	if errors.Is(err, kvm.ErrInUse) {
		return fmt.Errorf("control %w: is another hostd running? stop it, or choose another path (control in the configuration)", err)
	}
	if err != nil {
		return fmt.Errorf("control %w", err)
	}
	s.listen = limit(l, maxConns)
	return nil
}

// Run answers until ctx is done, Listen having been called, and removes the
// socket. It returns nil then.
func (s *Server) Run(ctx context.Context) error {
	s.http.BaseContext = func(net.Listener) context.Context { return ctx }
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		if s.http.Shutdown(grace) != nil {
			s.http.Close()
		}
	})
	err := s.http.Serve(s.listen)
	if stop() {
		return fmt.Errorf("control socket: %w", err)
	}
	<-stopped
	return nil
}
