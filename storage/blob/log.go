package blob

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Log is a blob that grows: what was written can be read by its URL at once,
// and is durable a second later at the latest. Its methods may be called
// concurrently. A process that dies leaves what it wrote; who opens the log
// again goes on behind it.
type Log struct {
	store *Store
	name  string
	most  int64

	mu     sync.Mutex // guards what follows
	file   *os.File
	kept   int64       // bytes in the file
	cut    int64       // bytes that were not kept
	sync   *time.Timer // runs while something is not durable
	broken error       // of the disk: from then on nothing is kept
}

// logDelay is how long what was written to a log may wait to be durable.
const logDelay = time.Second

// AppendLog opens a log for writing behind what it has, or makes it. At most
// most bytes are kept of it (0: all): what comes beyond is counted, and Close
// writes how much that was as the last line. ErrName.
func (s *Store) AppendLog(kind, name string, most int64) (*Log, error) {
	file, err := path(kind, name)
	if err != nil {
		return nil, err
	}
	l := &Log{store: s, name: kind + " " + name, most: most}
	err = l.open(file)
	if err != nil {
		return nil, fmt.Errorf("opening the log %s: %w", l.name, err)
	}
	return l, nil
}

func (l *Log) open(file string) error {
	dir := filepath.Dir(file)
	changed, err := l.store.mkdirs(dir)
	if err != nil {
		return err
	}
	f, err := l.store.root.OpenFile(file, os.O_WRONLY|os.O_APPEND|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		f, err = l.store.root.OpenFile(file, os.O_WRONLY|os.O_APPEND, 0o600)
	} else {
		changed = append(changed, dir)
	}
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	for _, d := range changed {
		err = l.store.sync(d)
		if err != nil {
			return errors.Join(fmt.Errorf("syncing its folder: %w", err), f.Close())
		}
	}
	l.file, l.kept = f, info.Size()
	return nil
}

// Write implements io.Writer. It takes all that it is given, also what is not
// kept: whoever writes is not to be stopped by its log. What went wrong is
// returned by Close.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	keep := p
	if l.most > 0 {
		keep = p[:min(int64(len(p)), max(0, l.most-l.kept))]
	}
	l.cut += int64(len(p) - len(keep))
	l.write(keep)
	return len(p), nil
}

// write keeps bytes. mu is held.
func (l *Log) write(p []byte) {
	if len(p) == 0 || l.broken != nil || l.file == nil {
		return
	}
	n, err := l.file.Write(p)
	l.kept += int64(n)
	l.broken = err
	if l.sync == nil {
		l.sync = time.AfterFunc(logDelay, l.flush)
	}
}

// flush makes durable what was written: the timer's function.
func (l *Log) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sync = nil
	if l.file != nil && l.broken == nil {
		l.broken = l.file.Sync()
	}
}

// Close ends the log: all of it is durable when it returns nil. Its error is
// also that of a write that failed.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	if l.cut > 0 {
		l.write(fmt.Appendf(nil, "\n[%d more bytes were written and not kept: a log has %d bytes at most]\n", l.cut, l.most))
	}
	if l.sync != nil {
		l.sync.Stop()
		l.sync = nil
	}
	err := l.broken
	if err == nil {
		err = l.file.Sync()
	}
	err = errors.Join(err, l.file.Close())
	l.file = nil
	if err != nil {
		return fmt.Errorf("writing the log %s: %w", l.name, err)
	}
	return nil
}
