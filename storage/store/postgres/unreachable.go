package postgres

import (
	"context"
	"errors"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// UnreachableError is an error because of which no connection to the database
// was made. Its text is for who operates the server, and has no password.
type UnreachableError struct {
	Where  string // HOST:PORT, or the folder of a socket
	Reason string
	Err    error // what was being done, and the driver's own words
}

func (e *UnreachableError) Error() string {
	return "cannot connect to the database at " + e.Where + ": " + e.Reason + "; see that it runs, and that --database (SOUK_DATABASE) names it, its user and password"
}

// Unwrap returns Err.
func (e *UnreachableError) Unwrap() error { return e.Err }

// Explained returns an *UnreachableError for an error of this package, or of
// one that uses it, whose cause is that no connection was made; other errors,
// and nil, as they are.
func Explained(err error) error {
	var connecting *pgconn.ConnectError
	if !errors.As(err, &connecting) {
		return err
	}
	where := connecting.Config.Host
	if !strings.HasPrefix(where, "/") {
		where = net.JoinHostPort(where, strconv.Itoa(int(connecting.Config.Port)))
	}
	return &UnreachableError{Where: where, Reason: reason(connecting), Err: err}
}

// reason is the innermost cause of a failed connection, in a few words.
func reason(err *pgconn.ConnectError) string {
	var (
		refused *pgconn.PgError
		name    *net.DNSError
		system  *os.SyscallError
	)
	switch {
	case errors.As(err, &refused):
		return refused.Message
	case errors.As(err, &name) && name.IsNotFound:
		return "no host has that name"
	case errors.As(err, &system):
		return system.Err.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return "it does not answer in time"
	}
	return err.Unwrap().Error()
}
