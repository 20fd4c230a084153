package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

const filesFolder = "attachments"

// Path returns where the file with a checksum is.
func (s *Store) Path(sha256 string) string {
	return filepath.Join(s.dir, filesFolder, sha256[:2], sha256)
}

// OpenFile opens a stored attachment.
func (s *Store) OpenFile(a *Attachment) (*os.File, error) {
	if a.State != "stored" {
		return nil, ErrNotFound
	}
	return os.Open(s.Path(a.SHA256))
}

// Part is a file that is being written. It must be closed.
type Part struct {
	store *Store
	file  *os.File
	hash  hash.Hash
	size  int64
}

// NewPart begins a file.
func (s *Store) NewPart() (*Part, error) {
	folder := filepath.Join(s.dir, filesFolder)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	file, err := os.CreateTemp(folder, "*"+partExtension)
	if err != nil {
		return nil, err
	}
	return &Part{store: s, file: file, hash: sha256.New()}, nil
}

const partExtension = ".part"

// Write implements io.Writer.
func (p *Part) Write(data []byte) (int, error) {
	n, err := p.file.Write(data)
	p.hash.Write(data[:n])
	p.size += int64(n)
	return n, err
}

// Keep moves the complete file to where it belongs, and flushes it to disk. Then the row can name it.
func (p *Part) Keep() (checksum string, size int64, err error) {
	checksum = hex.EncodeToString(p.hash.Sum(nil))
	path := p.store.Path(checksum)
	if err := p.file.Sync(); err != nil {
		return "", 0, err
	}
	if err := p.file.Close(); err != nil {
		return "", 0, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", 0, err
	}
	if err := os.Rename(p.file.Name(), path); err != nil {
		return "", 0, err
	}
	return checksum, p.size, errors.Join(syncFolder(filepath.Dir(path)), syncFolder(filepath.Dir(filepath.Dir(path))))
}

// Close removes a file that was not kept.
func (p *Part) Close() error {
	_ = p.file.Close() // Keep has reported the error
	return removeIfThere(p.file.Name())
}

// removeParts removes the unfinished files of killed runs.
func (s *Store) removeParts() error {
	parts, err := filepath.Glob(filepath.Join(s.dir, filesFolder, "*"+partExtension))
	for _, part := range parts {
		err = errors.Join(err, removeIfThere(part))
	}
	return err
}

// removeStrays removes the files that no row has.
func (s *Store) removeStrays(ctx context.Context) error {
	stored, err := s.StoredFiles(ctx)
	if err != nil {
		return err
	}
	has := map[string]bool{}
	for _, a := range stored {
		has[a.SHA256] = true
	}
	files, err := filepath.Glob(filepath.Join(s.dir, filesFolder, "??", "*"))
	for _, file := range files {
		if !has[filepath.Base(file)] {
			err = errors.Join(err, removeIfThere(file))
		}
	}
	return err
}

func removeIfThere(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// PutFile notes that an attachment is stored.
func (tx *Tx) PutFile(id int64, checksum string, size int64) error {
	return tx.exec(`UPDATE attachments SET state = 'stored', sha256 = ?, size = ?, failures = 0 WHERE id = ?`,
		checksum, size, id)
}

// StoredFiles returns the stored attachments.
func (s *Store) StoredFiles(ctx context.Context) ([]Attachment, error) {
	return collect(ctx, s.reader, scanAttachment,
		`SELECT `+attachmentColumns+` FROM attachments a WHERE a.state = 'stored' ORDER BY a.id`)
}

// FilesBroken returns the stored attachments whose files are missing or changed.
func (s *Store) FilesBroken(ctx context.Context) (broken []Attachment, err error) {
	stored, err := s.StoredFiles(ctx)
	for _, a := range stored {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if sum, err := s.checksum(a.SHA256); err != nil || sum != a.SHA256 {
			broken = append(broken, a)
		}
	}
	return broken, err
}

func (s *Store) checksum(name string) (string, error) {
	file, err := os.Open(s.Path(name))
	if err != nil {
		return "", err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// syncFolder flushes a rename to disk.
func syncFolder(path string) error {
	if runtime.GOOS == "windows" {
		return nil // Windows cannot flush folders
	}
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
