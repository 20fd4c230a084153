package filestore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/oauth2"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/holder"
)

const (
	tokensBlock   = 4 << 10 // a file is a whole number of these
	maxTokensFile = 1 << 20
	tokensPoll    = 10 * time.Millisecond // between two tries to lock the file; it is held for as long as a refresh takes
	readTries     = 10                    // of a file that is replaced while it is being opened
)

// Tokens keeps the token of one authorization in a file that processes of one machine share. It is a
// [drift.PreparingTokenStore] and safe for concurrent use. It keeps no file open, so there is nothing to close.
type Tokens struct {
	path    string
	account string
	shared  bool // see WithSharedOwnership
	lock    *tokensLock
	claim   chan struct{} // holds one value while the lock is taken in this process

	saving   sync.Mutex // one writes at a time; guards what follows
	locked   bool
	holder   any  // who has the lock; nil: a program, which is not known by its contexts
	reserved bool // the successor is there, and empty

	remembering sync.Mutex
	last        *storedToken // what the file had when it was last seen
}

var _ drift.PreparingTokenStore = (*Tokens)(nil)

// OpenTokens returns the store at path. The first Save creates the file; its directory must exist. Beside it lies its
// lock, a file of the same name with ".lock" at the end, and for the time of a refresh its successor, with ".new". Of
// the options, [WithAccount] and [WithSharedOwnership] apply: the first binds the file to an account, by any name for
// it, for example the client id. An error is an [*Error].
//
// A process that died while it replaced the file may have left a complete successor. If that is newer, it takes the
// file's place: its refresh token is the only one that is good.
//
// The file holds the tokens in plain text. It must be a regular file that belongs to the user of the process and that
// only its owner may read and write; that is how it is created (mode 0600). Anything else is rejected, and so is a
// directory in which other users may replace files.
func OpenTokens(path string, opts ...Option) (*Tokens, error) {
	c := newConfig(opts)
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, wrap(path, err)
	}
	account := sha256.Sum256([]byte(c.account))
	t := &Tokens{path: path, account: hex.EncodeToString(account[:]), shared: c.sharedOwnership, lock: newTokensLock(path),
		claim: make(chan struct{}, 1)}
	if err := t.open(); err != nil {
		return nil, wrap(path, err)
	}
	return t, nil
}

// Format writes the path alone, for every verb.
func (t *Tokens) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "filestore.Tokens{%s}", t.path) }

func (t *Tokens) open() error {
	if err := t.checkDir(filepath.Dir(t.path)); err != nil {
		return err
	}
	if _, err := t.lookAt(t.lock.path()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, err := t.read(successorOf(t.path)); err == nil && t.lock.try() {
		err = t.restore()
		t.lock.release()
		if err != nil {
			return err
		}
	}
	_, err := t.load()
	return err
}

func (t *Tokens) checkDir(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%w: its directory is not one", ErrUnsafe)
	case replaceableByAll(info) || !t.shared && replaceableByOthers(info):
		return fmt.Errorf("%w: other users may replace files in its directory (%v)", ErrUnsafe, info.Mode())
	}
	return nil
}

func (t *Tokens) lookAt(path string) (fs.FileInfo, error) {
	info, err := lookAt(path)
	if err == nil && !t.shared && !ownedHere(info) {
		return nil, fmt.Errorf("%w: it belongs to another user", ErrUnsafe)
	}
	return info, err
}

// Load returns the stored token, with the id of its organization for [drift.OrgIDFromToken], or nil where nothing is
// stored. It takes no lock: a token is replaced all at once. A file that cannot be used is an [*Error].
//
// A file that is older than what this store has seen there was put back from a backup, and its refresh token is used
// up. Load then returns the token that it has seen, and the next Lock restores that. To go back to an older token, Save
// it.
func (t *Tokens) Load(ctx context.Context) (*oauth2.Token, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	stored, err := t.load()
	if err != nil {
		return nil, wrap(t.path, err)
	}
	return stored.token(), nil
}

// Save stores a token, and returns when it would survive a crash of the machine. If it fails, or is interrupted, what
// was stored before is still there, unless the new token is already complete beside it: then that is found when the
// store is next opened or locked. nil removes the file. What Load rejects is not replaced: delete it.
//
// Save waits for a refresh that is under way, in this process or another, so that nothing that is saved is undone by
// it. Only while a program itself has called Lock of this store, every Save of the store is taken for that of the
// program.
func (t *Tokens) Save(ctx context.Context, token *oauth2.Token) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	next, err := newStoredToken(token)
	if err != nil {
		return wrap(t.path, err)
	}
	return t.exclusively(ctx, func() error { return t.replace(next) })
}

// Prepare makes sure that the next token can be stored: its file is there beside the old one, at its full size and
// flushed. A token source calls it before each refresh. An error is an [*Error], for example for a disk without room.
func (t *Tokens) Prepare(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return t.exclusively(ctx, t.reserve)
}

// Lock keeps other processes, and other users of this store, from refreshing the token. It waits until they are done,
// or the context ends. The lock of a process that dies is free.
func (t *Tokens) Lock(ctx context.Context) (unlock func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case t.claim <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err := t.lock.acquire(ctx); err != nil {
		<-t.claim
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, wrap(t.path, err)
	}
	if err := t.restore(); err != nil {
		t.lock.release()
		<-t.claim
		return nil, wrap(t.path, err)
	}
	t.saving.Lock()
	t.locked, t.holder = true, holder.Of(ctx)
	t.saving.Unlock()
	return sync.OnceFunc(t.unlock), nil
}

func (t *Tokens) unlock() {
	t.saving.Lock()
	t.locked, t.holder = false, nil
	if t.reserved {
		t.reserved = false
		_ = os.Remove(successorOf(t.path))
	}
	t.lock.release()
	t.saving.Unlock()
	<-t.claim
}

// exclusively calls fn under the lock, which it takes unless the caller has it.
func (t *Tokens) exclusively(ctx context.Context, fn func() error) error {
	if locked, err := t.underLock(ctx, fn); locked {
		return err
	}
	unlock, err := t.Lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	_, err = t.underLock(ctx, fn)
	return err
}

// underLock calls fn if the caller has the lock.
func (t *Tokens) underLock(ctx context.Context, fn func() error) (locked bool, err error) {
	t.saving.Lock()
	defer t.saving.Unlock()
	if !t.locked || t.holder != nil && t.holder != holder.Of(ctx) {
		return false, nil
	}
	if err := fn(); err != nil {
		return true, wrap(t.path, err)
	}
	return true, nil
}

// reserve sets aside a block more than the file has: the next token may be longer.
func (t *Tokens) reserve() error {
	size := tokensBlock
	if info, err := os.Lstat(t.path); err == nil {
		size += int(min(info.Size(), maxTokensFile))
	}
	if err := writeSuccessor(t.path, bytes.Repeat([]byte(" "), size)); err != nil {
		return err
	}
	t.reserved = true
	return syncDir(filepath.Dir(t.path))
}

func (t *Tokens) replace(next *storedToken) error {
	last, err := t.load()
	if err != nil {
		return err
	}
	t.reserved = false
	if next == nil {
		return t.remove()
	}
	next.follow(last)
	return t.install(next)
}

func (t *Tokens) install(next *storedToken) error {
	contents, err := t.encode(next)
	if err == nil {
		err = create(t.path, contents)
	}
	if err == nil {
		t.remember(next)
	}
	return err
}

// remove begins with the successor, which would otherwise take the file's place.
func (t *Tokens) remove() error {
	for _, path := range []string{successorOf(t.path), t.path} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	t.remember(nil)
	return syncDir(filepath.Dir(t.path))
}

// restore puts the newest token in its place: one that a process completed before it died, or the last that was seen
// where the file is older than that. A file that cannot be read is left alone, as Load reports it.
func (t *Tokens) restore() error {
	stored, err := t.read(t.path)
	if err != nil {
		return nil
	}
	if next, err := t.read(successorOf(t.path)); err == nil && next != nil && (stored == nil || next.Written > stored.Written) {
		if err := installSuccessor(t.path); err != nil {
			return err
		}
		stored = next
	}
	if last := t.newest(stored); last != stored {
		return t.install(last)
	}
	return nil
}

// load returns the newest token, or nil if there is no file.
func (t *Tokens) load() (*storedToken, error) {
	stored, err := t.read(t.path)
	if err != nil {
		return nil, err
	}
	return t.newest(stored), nil
}

// newest returns what the file has, or what it had when it was last seen if that is newer.
func (t *Tokens) newest(stored *storedToken) *storedToken {
	t.remembering.Lock()
	defer t.remembering.Unlock()
	if stored.putBack(t.last) {
		return t.last
	}
	t.last = stored
	return stored
}

func (t *Tokens) remember(stored *storedToken) {
	t.remembering.Lock()
	defer t.remembering.Unlock()
	t.last = stored
}

// read returns the token in a file, or nil if there is no file.
func (t *Tokens) read(path string) (*storedToken, error) {
	for range readTries {
		contents, err := t.readOnce(path)
		switch {
		case errors.Is(err, errReplaced):
			continue
		case err != nil || contents == nil:
			return nil, err
		}
		return t.decode(contents)
	}
	return nil, errReplaced
}

var errReplaced = fmt.Errorf("%w: it was replaced while it was being opened", ErrUnsafe)

func (t *Tokens) readOnce(path string) ([]byte, error) {
	before, err := t.lookAt(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errReplaced
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !os.SameFile(before, info) {
		return nil, errReplaced
	}
	contents, err := io.ReadAll(io.LimitReader(file, maxTokensFile+1))
	if err == nil && (len(contents) == 0 || len(contents) > maxTokensFile) {
		err = fmt.Errorf("%w: it has %d bytes", ErrCorrupt, info.Size())
	}
	return contents, err
}
