package sqlite

import (
	"fmt"
	"unsafe"

	"modernc.org/libc"
	"modernc.org/libc/sys/types"
	sqlite3 "modernc.org/sqlite/lib"
)

// conn is one connection to the database: a thin cover over SQLite's own
// interface. database/sql and the driver are left out on this path since they
// cost more than most of our statements do: each call would take a lock, box
// its arguments, allocate and free C memory per argument and name the columns
// of each result anew.
//
// A conn and its statements are used by one goroutine at a time.
type conn struct {
	tls *libc.TLS
	db  uintptr // *sqlite3
}

// openConn opens the file, which must exist.
func openConn(path string) (*conn, error) {
	c := &conn{tls: libc.NewTLS()}
	name, err := libc.CString(path)
	if err != nil {
		c.tls.Close()
		return nil, err
	}
	defer libc.Xfree(c.tls, name)
	out := libc.Xmalloc(c.tls, types.Size_t(unsafe.Sizeof(uintptr(0))))
	if out == 0 {
		c.tls.Close()
		return nil, errNoMemory
	}
	defer libc.Xfree(c.tls, out)
	rc := sqlite3.Xsqlite3_open_v2(c.tls, name, out, sqlite3.SQLITE_OPEN_READWRITE|sqlite3.SQLITE_OPEN_NOMUTEX, 0)
	c.db = *(*uintptr)(pointer(out))
	if rc != sqlite3.SQLITE_OK {
		err := c.failure(rc)
		c.close()
		return nil, err
	}
	sqlite3.Xsqlite3_extended_result_codes(c.tls, c.db, 1)
	sqlite3.Xsqlite3_busy_timeout(c.tls, c.db, 10_000)
	return c, nil
}

var errNoMemory = fmt.Errorf("sqlite: out of memory")

// failure is SQLite's last error on this connection, for a result code.
func (c *conn) failure(rc int32) error {
	text := libc.GoString(sqlite3.Xsqlite3_errstr(c.tls, rc))
	if c.db != 0 {
		if more := libc.GoString(sqlite3.Xsqlite3_errmsg(c.tls, c.db)); more != text {
			text += ": " + more
		}
	}
	return fmt.Errorf("sqlite: %s (%d)", text, rc)
}

// close ends the connection and its statements.
func (c *conn) close() {
	if c.db != 0 {
		sqlite3.Xsqlite3_close_v2(c.tls, c.db)
		c.db = 0
	}
	c.tls.Close()
}

// exec runs statements without parameters and results.
func (c *conn) exec(sql string) error {
	text, err := libc.CString(sql)
	if err != nil {
		return err
	}
	defer libc.Xfree(c.tls, text)
	if rc := sqlite3.Xsqlite3_exec(c.tls, c.db, text, 0, 0, 0); rc != sqlite3.SQLITE_OK {
		return c.failure(rc)
	}
	return nil
}

// inTransaction says whether a transaction is open. SQLite ends one by itself
// after some errors.
func (c *conn) inTransaction() bool {
	return sqlite3.Xsqlite3_get_autocommit(c.tls, c.db) == 0
}

// stmt is a prepared statement. Its use is: bind the parameters, step through
// the rows, reset. The first error of a bind is kept for step.
type stmt struct {
	c   *conn
	p   uintptr // *sqlite3_stmt
	err error

	// What is bound lies in room, from its beginning to used, until reset; what
	// does not fit lies in extra. SQLite so need not copy it again.
	room  uintptr
	size  int
	used  int
	extra []uintptr
}

// firstRoom holds the parameters of most statements.
const firstRoom = 4 << 10

func (c *conn) prepare(sql string) (*stmt, error) {
	text, err := libc.CString(sql)
	if err != nil {
		return nil, err
	}
	defer libc.Xfree(c.tls, text)
	out := libc.Xmalloc(c.tls, types.Size_t(unsafe.Sizeof(uintptr(0))))
	if out == 0 {
		return nil, errNoMemory
	}
	defer libc.Xfree(c.tls, out)
	if rc := sqlite3.Xsqlite3_prepare_v3(c.tls, c.db, text, -1, sqlite3.SQLITE_PREPARE_PERSISTENT, out, 0); rc != sqlite3.SQLITE_OK {
		return nil, fmt.Errorf("prepare %q: %w", sql, c.failure(rc))
	}
	return &stmt{c: c, p: *(*uintptr)(pointer(out))}, nil
}

// finalize ends the statement. It does nothing to a nil one.
func (s *stmt) finalize() {
	if s == nil {
		return
	}
	sqlite3.Xsqlite3_finalize(s.c.tls, s.p)
	s.free()
	if s.room != 0 {
		libc.Xfree(s.c.tls, s.room)
	}
	s.p, s.room, s.size = 0, 0, 0
}

func (s *stmt) free() {
	for _, p := range s.extra {
		libc.Xfree(s.c.tls, p)
	}
	s.extra = s.extra[:0]
	s.used = 0
}

// take returns n bytes that last until reset.
func (s *stmt) take(n int) uintptr {
	if s.room == 0 {
		s.room, s.size = libc.Xmalloc(s.c.tls, firstRoom), firstRoom
		if s.room == 0 {
			s.size = 0
		}
	}
	if s.used+n <= s.size {
		p := s.room + uintptr(s.used)
		s.used += n
		return p
	}
	p := libc.Xmalloc(s.c.tls, types.Size_t(n))
	if p != 0 {
		s.extra = append(s.extra, p)
	}
	return p
}

func (s *stmt) check(rc int32) {
	if rc != sqlite3.SQLITE_OK && s.err == nil {
		s.err = s.c.failure(rc)
	}
}

func (s *stmt) bindInt(i int, n int64) {
	s.check(sqlite3.Xsqlite3_bind_int64(s.c.tls, s.p, int32(i), n))
}

func (s *stmt) bindNull(i int) {
	s.check(sqlite3.Xsqlite3_bind_null(s.c.tls, s.p, int32(i)))
}

// bindText binds a string.
func (s *stmt) bindText(i int, v string) {
	p := s.take(len(v) + 1) // one more, so that an empty one has an address
	if p == 0 {
		s.err = errNoMemory
		return
	}
	copy(memory(p, len(v)), v)
	s.check(sqlite3.Xsqlite3_bind_text(s.c.tls, s.p, int32(i), p, int32(len(v)), sqlite3.SQLITE_STATIC))
}

// bindBlob binds bytes; nil is NULL.
func (s *stmt) bindBlob(i int, v []byte) {
	if v == nil {
		s.bindNull(i)
		return
	}
	if len(v) > maxBlob {
		s.err = fmt.Errorf("sqlite: a value of %d bytes is too long, %d are allowed", len(v), maxBlob)
		return
	}
	p := s.take(len(v) + 1)
	if p == 0 {
		s.err = errNoMemory
		return
	}
	copy(memory(p, len(v)), v)
	s.check(sqlite3.Xsqlite3_bind_blob(s.c.tls, s.p, int32(i), p, int32(len(v)), sqlite3.SQLITE_STATIC))
}

// maxBlob is below SQLite's own limit for a row, which is 1,000,000,000 bytes.
const maxBlob = 900_000_000

// memory is C memory as a slice.
func memory(p uintptr, n int) []byte {
	return unsafe.Slice((*byte)(pointer(p)), n)
}

// pointer is an address in C memory, which Go's collector neither moves nor
// frees, as a pointer. (The detour tells vet that this is no Go address that
// was kept as a number.)
func pointer(p uintptr) unsafe.Pointer {
	return *(*unsafe.Pointer)(unsafe.Pointer(&p))
}

// step moves to the next row and says whether there is one.
func (s *stmt) step() (bool, error) {
	if s.err != nil {
		return false, s.err
	}
	switch rc := sqlite3.Xsqlite3_step(s.c.tls, s.p); rc {
	case sqlite3.SQLITE_ROW:
		return true, nil
	case sqlite3.SQLITE_DONE:
		return false, nil
	default:
		s.err = s.c.failure(rc)
		return false, s.err
	}
}

// reset makes the statement ready for its next use. Views that column gave end here.
func (s *stmt) reset() {
	sqlite3.Xsqlite3_reset(s.c.tls, s.p) // repeats the error of the last step, which is known
	s.free()
	s.err = nil
}

// run steps to the end and resets.
func (s *stmt) run() error {
	for {
		row, err := s.step()
		if err != nil || !row {
			s.reset()
			return err
		}
	}
}

func (s *stmt) columnInt(i int) int64 {
	return sqlite3.Xsqlite3_column_int64(s.c.tls, s.p, int32(i))
}

// columnNull says whether a column is NULL.
func (s *stmt) columnNull(i int) bool {
	return sqlite3.Xsqlite3_column_type(s.c.tls, s.p, int32(i)) == sqlite3.SQLITE_NULL
}

// view returns a column's bytes in SQLite's memory: they end with the next step or reset.
func (s *stmt) view(i int) []byte {
	p := sqlite3.Xsqlite3_column_blob(s.c.tls, s.p, int32(i))
	if p == 0 {
		return nil
	}
	return memory(p, int(sqlite3.Xsqlite3_column_bytes(s.c.tls, s.p, int32(i))))
}

// columnBytes returns a copy of a column's bytes; NULL and no bytes are nil.
func (s *stmt) columnBytes(i int) []byte {
	v := s.view(i)
	if len(v) == 0 {
		return nil
	}
	return append(make([]byte, 0, len(v)), v...)
}

func (s *stmt) columnText(i int) string {
	return string(s.view(i))
}
