// Package store keeps an archive in a folder: the database archive.db, and the files of messages in attachments.
//
// Everything in it is personal data, so only the owner can read the folder. Instants without a value are the zero time.
package store

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite" // the driver
)

// Version is the version of the schema. Another one is refused.
const Version = "2"

//go:embed schema.sql
var schema string

// ErrNoArchive reports a folder without an archive.
var ErrNoArchive = errors.New("there is no archive in this folder: run archive sync first")

// Store is an archive. It is safe for concurrent use: any number of readers and one writer at a time, in this process
// and in others.
type Store struct {
	dir    string
	writer *sql.DB // nil if opened for reading
	reader *sql.DB
	many   int // see manyConversations

	isFixed bool // nobody can write to the folder
}

// Open opens the archive in a folder, and creates both if necessary.
func Open(ctx context.Context, dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := createPrivate(filepath.Join(dir, fileName)); err != nil {
		return nil, err
	}
	s := &Store{dir: dir, many: manyConversations}
	var err error
	if s.writer, err = sql.Open("sqlite", s.source("_txlock=immediate", "_pragma=synchronous(FULL)",
		"_pragma=foreign_keys(1)", "_pragma=secure_delete(1)", "_pragma=recursive_triggers(1)")); err != nil {
		return nil, err
	}
	s.writer.SetMaxOpenConns(1)
	if err := s.create(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, s.openReader()
}

// OpenReader opens an existing archive. Methods that write must not be called.
func OpenReader(ctx context.Context, dir string) (*Store, error) {
	if _, err := os.Stat(filepath.Join(dir, fileName)); errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNoArchive
	}
	s := &Store{dir: dir, many: manyConversations}
	if err := s.openReader(); err != nil {
		return nil, err
	}
	err := s.checkVersion(ctx)
	if log, statErr := os.Stat(filepath.Join(dir, fileName+"-wal")); err != nil && (statErr != nil || log.Size() == 0) {
		// SQLite needs files beside the database, unless nobody can change it: here nobody can, or the error remains.
		s.isFixed = true
		err = errors.Join(s.reader.Close(), s.openReader())
		if err == nil {
			err = s.checkVersion(ctx)
		}
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Store) checkVersion(ctx context.Context) error {
	var tables int
	err := s.reader.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema`).Scan(&tables)
	if err == nil && tables == 0 {
		err = ErrNoArchive
	}
	if err != nil {
		return err
	}
	version, err := s.Meta(ctx, "schema")
	if err == nil && version != Version {
		err = wrongVersion(version)
	}
	return err
}

const fileName = "archive.db"

// source names the database with pragmas that hold for every connection.
func (s *Store) source(parameters ...string) string {
	// Larger pages have less space that no row fills. Their size must be set first.
	query := "_pragma=busy_timeout(30000)&_pragma=page_size(8192)&_journal_mode=WAL"
	if s.isFixed {
		query = "immutable=1"
	}
	for _, parameter := range parameters {
		query += "&" + parameter
	}
	path := filepath.ToSlash(filepath.Join(s.dir, fileName))
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: query}).String()
}

func (s *Store) openReader() (err error) {
	s.reader, err = sql.Open("sqlite", s.source("_pragma=query_only(1)"))
	return err
}

// createPrivate creates the database before SQLite does, because SQLite would let others read it.
func createPrivate(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return file.Close()
}

// create makes the tables of a new archive.
func (s *Store) create(ctx context.Context) error {
	return s.Write(ctx, func(tx *Tx) error {
		var tables int
		if err := tx.get(&tables, `SELECT count(*) FROM sqlite_schema`); err != nil {
			return err
		}
		if tables > 0 {
			version, err := tx.Meta("schema")
			if err == nil && version != Version {
				err = wrongVersion(version)
			}
			return err
		}
		if err := tx.exec(schema); err != nil {
			return err
		}
		return tx.SetMeta("schema", Version)
	})
}

func wrongVersion(version string) error {
	return fmt.Errorf("the archive has schema %q, but this program reads %q", version, Version)
}

// Close closes the database.
func (s *Store) Close() error {
	var errs []error
	for _, db := range []*sql.DB{s.reader, s.writer} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// Dir returns the folder of the archive.
func (s *Store) Dir() string { return s.dir }

// Write runs a transaction. It commits if do returns nil.
func (s *Store) Write(ctx context.Context, do func(*Tx) error) error {
	sqlTx, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	tx := &Tx{ctx: ctx, Tx: sqlTx}
	if err := do(tx); err != nil {
		return errors.Join(err, sqlTx.Rollback())
	}
	return sqlTx.Commit()
}

// Tx is a transaction that writes.
type Tx struct {
	*sql.Tx
	ctx     context.Context
	key     []byte // of HMACs; nil: not read yet
	forgets *bool  // whether any contact was forgotten; nil: not read yet
}

func (tx *Tx) exec(query string, args ...any) error {
	_, err := tx.ExecContext(tx.ctx, query, args...)
	return err
}

// get reads one value. If there is no row, it leaves the target unchanged.
func (tx *Tx) get(target any, query string, args ...any) error {
	err := tx.QueryRowContext(tx.ctx, query, args...).Scan(target)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	return err
}

// Meta returns a value of the archive as a whole, or "".
func (s *Store) Meta(ctx context.Context, key string) (value string, err error) {
	err = s.reader.QueryRowContext(ctx, `SELECT value FROM meta WHERE key = ?`, key).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return value, err
}

// Meta returns a value of the archive as a whole, or "".
func (tx *Tx) Meta(key string) (value string, err error) {
	err = tx.get(&value, `SELECT value FROM meta WHERE key = ?`, key)
	return value, err
}

// SetMeta sets a value of the archive as a whole.
func (tx *Tx) SetMeta(key, value string) error {
	return tx.exec(`INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value`, key, value)
}
