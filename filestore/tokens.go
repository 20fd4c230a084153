package filestore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/gofrs/flock"
	"golang.org/x/oauth2"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/holder"
)

const (
	tokensFormat  = "drift tokens"
	tokensVersion = 1
	maxTokensFile = 1 << 20
	tokensPoll    = 10 * time.Millisecond // between two tries to lock the file; it is held for as long as a refresh takes
	readTries     = 10                    // of a file that is replaced while it is being opened
)

// Tokens keeps the token of one authorization in a file that processes of one machine share. It is a [drift.TokenStore] and
// safe for concurrent use. Nothing is held open, so there is nothing to close.
type Tokens struct {
	path    string
	account string
	lock    *flock.Flock
	turn    chan struct{} // holds one value while somebody has the lock

	saving sync.Mutex // one writes at a time; guards what follows
	locked bool
	holder any // who has the lock; nil: a program, which is not known by its contexts
}

var _ drift.TokenStore = (*Tokens)(nil)

// OpenTokens returns the store at path. The file comes into being when something is saved; its directory must exist. Beside it
// lies its lock, a file of the same name with ".lock" at the end. Of the options [WithAccount] counts: it binds the file to an
// account, by any name for it, for example the client id. An error is an [*Error].
//
// The file holds the tokens in plain text, so it must be a regular one that only its owner may read and write; that is how it
// is created (mode 0600). What is not so is refused, and so is a directory in which everybody may replace files.
func OpenTokens(path string, opts ...Option) (*Tokens, error) {
	var c config
	for _, o := range opts {
		if o != nil {
			o(&c)
		}
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, wrap(path, err)
	}
	account := sha256.Sum256([]byte(c.account))
	t := &Tokens{path: path, account: hex.EncodeToString(account[:]), lock: flock.New(path + ".lock"), turn: make(chan struct{}, 1)}
	if err := checkDir(filepath.Dir(path)); err != nil {
		return nil, wrap(path, err)
	}
	if _, err := lookAt(t.lock.Path()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, wrap(path, err)
	}
	if _, err := t.load(); err != nil {
		return nil, wrap(path, err)
	}
	return t, nil
}

func checkDir(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%w: it is in no directory", ErrUnsafe)
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o002 != 0 && info.Mode()&fs.ModeSticky == 0:
		return fmt.Errorf("%w: everybody may replace files in its directory (%v)", ErrUnsafe, info.Mode())
	}
	return nil
}

// Load returns the stored token, with the id of its organization for [drift.OrgIDFromToken], or nil where nothing is stored. It takes
// no lock: a token is replaced all at once. A file that cannot be used is an [*Error].
func (t *Tokens) Load(ctx context.Context) (*oauth2.Token, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	token, err := t.load()
	if err != nil {
		return nil, wrap(t.path, err)
	}
	return token, nil
}

// Save stores a token, and returns when it would survive a crash of the machine. If it fails, or is interrupted, what was
// stored before is still there. nil removes the file. What Load refuses is not replaced: delete it.
//
// Save waits for a refresh that is under way, in this process or another, so that nothing that is saved is undone by it. Only
// while a program itself has called Lock of this store, every Save of the store is taken for that of the program.
func (t *Tokens) Save(ctx context.Context, token *oauth2.Token) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	contents, err := t.encode(token)
	if err != nil {
		return wrap(t.path, err)
	}
	if locked, err := t.write(ctx, contents); locked {
		return err
	}
	unlock, err := t.Lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	_, err = t.write(ctx, contents)
	return err
}

// Lock keeps other processes, and other users of this store, from refreshing the token. It waits until they are done, or the
// context ends. The lock of a process that dies is free.
func (t *Tokens) Lock(ctx context.Context) (unlock func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case t.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if _, err := t.lock.TryLockContext(ctx, tokensPoll); err != nil {
		<-t.turn
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
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
	_ = t.lock.Unlock() // the lock is gone with the process, if not now
	t.saving.Unlock()
	<-t.turn
}

// write replaces the file, if the caller has the lock.
func (t *Tokens) write(ctx context.Context, contents []byte) (locked bool, err error) {
	t.saving.Lock()
	defer t.saving.Unlock()
	if !t.locked || t.holder != nil && t.holder != holder.Of(ctx) {
		return false, nil
	}
	if err := t.replace(contents); err != nil {
		return true, wrap(t.path, err)
	}
	return true, nil
}

func (t *Tokens) replace(contents []byte) error {
	stored, err := t.load()
	switch {
	case err != nil:
		return err
	case contents != nil:
		return create(t.path, contents)
	case stored == nil:
		return nil
	}
	if err := os.Remove(t.path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(t.path))
}

// load returns the stored token, or nil if there is no file.
func (t *Tokens) load() (*oauth2.Token, error) {
	contents, err := t.read()
	if err != nil || contents == nil {
		return nil, err
	}
	return t.decode(contents)
}

func (t *Tokens) read() ([]byte, error) {
	for range readTries {
		contents, err := t.readOnce()
		if !errors.Is(err, errReplaced) {
			return contents, err
		}
	}
	return nil, errReplaced
}

var errReplaced = fmt.Errorf("%w: it was replaced while it was being opened", ErrUnsafe)

func (t *Tokens) readOnce() ([]byte, error) {
	before, err := lookAt(t.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	file, err := os.Open(t.path)
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

// tokensFile is the file.
type tokensFile struct {
	Format   string          `json:"format"`
	Version  int             `json:"version"`
	Account  string          `json:"account"`  // SHA-256 of its name
	Checksum string          `json:"checksum"` // CRC-32C of the account and of the token as it stands there
	Token    json.RawMessage `json:"token"`
}

type storedToken struct {
	AccessToken  string      `json:"access_token"`
	TokenType    string      `json:"token_type,omitzero"`
	RefreshToken string      `json:"refresh_token,omitzero"`
	Expiry       time.Time   `json:"expiry,omitzero"`
	ExpiresIn    int64       `json:"expires_in,omitzero"`
	OrgID        drift.OrgID `json:"org_id,omitzero"`
}

var errNotStorable = errors.New("the token is empty, or no text")

func (t *Tokens) encode(token *oauth2.Token) ([]byte, error) {
	if token == nil {
		return nil, nil
	}
	if token.AccessToken+token.RefreshToken == "" || !utf8.ValidString(token.AccessToken+token.RefreshToken) {
		return nil, errNotStorable
	}
	orgID, _ := drift.OrgIDFromToken(token)
	stored, err := json.Marshal(storedToken{token.AccessToken, token.TokenType, token.RefreshToken, token.Expiry.Round(0), token.ExpiresIn, orgID})
	if err != nil {
		return nil, errNotStorable // the error might quote it
	}
	contents, err := json.Marshal(tokensFile{tokensFormat, tokensVersion, t.account, tokensChecksum(t.account, stored), stored})
	return append(contents, '\n'), err
}

func (t *Tokens) decode(contents []byte) (*oauth2.Token, error) {
	var file tokensFile
	var stored storedToken
	switch err := json.Unmarshal(contents, &file); {
	case err != nil || file.Format != tokensFormat:
		return nil, ErrCorrupt
	case file.Version != tokensVersion:
		return nil, ErrVersion
	case file.Checksum != tokensChecksum(file.Account, file.Token) || json.Unmarshal(file.Token, &stored) != nil:
		return nil, ErrCorrupt
	case file.Account != t.account:
		return nil, ErrAccount
	}
	token := &oauth2.Token{AccessToken: stored.AccessToken, TokenType: stored.TokenType, RefreshToken: stored.RefreshToken,
		Expiry: stored.Expiry, ExpiresIn: stored.ExpiresIn}
	if stored.OrgID > 0 {
		token = token.WithExtra(map[string]any{"orgId": int64(stored.OrgID)}) // for drift.OrgIDFromToken
	}
	return token, nil
}

func tokensChecksum(account string, token []byte) string {
	return fmt.Sprintf("%08x", crc32.Update(crc32.Checksum([]byte(account), castagnoli), castagnoli, token))
}
