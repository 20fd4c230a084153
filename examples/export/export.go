package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/driftsdk/drift"
)

// export writes every record of a list into a file, page by page. Records that do not decode go into a second file, as
// the service sent them.
//
// After each page it flushes the files to disk, and then advances the checkpoint. So the files always hold at least as
// much as the checkpoint says. The next run cuts off the excess and reads that page again.
type export[T any] struct {
	path     string
	owner    owner
	list     func(ctx context.Context, cursor string) (*drift.Page[T], error)
	id       func(*T) int64
	progress func(records int)

	finished bool // by an earlier run

	file    *os.File
	odd     *os.File // nil until there is a record that does not decode
	first   error    // of the first such record in this run
	at      checkpoint
	ids     map[int64]bool  // in the file
	cursors map[string]bool // read by this run
}

// owner is the account that an export belongs to.
type owner struct {
	Host         string      `json:"host"`
	Organization drift.OrgID `json:"organization,omitempty"`
	Token        string      `json:"token,omitempty"` // a part of its hash, if the organization is not known
}

func (o owner) String() string {
	if o.Token != "" {
		return fmt.Sprintf("the token %s at %s", o.Token, o.Host)
	}
	return fmt.Sprintf("organization %s at %s", o.Organization, o.Host)
}

// checkpoint is the progress of an export.
type checkpoint struct {
	Owner  owner  `json:"owner"`
	Cursor string `json:"cursor"` // of the next page; "": the first
	Offset int64  `json:"offset"` // the valid length of the file
	Done   bool   `json:"done"`

	Odd       int   `json:"odd,omitempty"`        // records that do not decode
	OddOffset int64 `json:"odd_offset,omitempty"` // the valid length of their file
}

// run exports the records that are missing. After a finished export, it does nothing.
func (e *export[T]) run(ctx context.Context) (err error) {
	if err := e.open(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	e.finished = e.at.Done
	e.progress(len(e.ids))
	for !e.at.Done {
		if err := e.page(ctx); err != nil {
			return err
		}
	}
	return nil
}

// page reads one page, writes it, and advances the checkpoint.
func (e *export[T]) page(ctx context.Context) error {
	if e.cursors[e.at.Cursor] {
		return drift.ErrCursorLoop
	}
	e.cursors[e.at.Cursor] = true
	page, err := e.list(ctx, e.at.Cursor)
	odd := drift.RecordErrors(err)
	if err != nil && odd == nil {
		return err
	}
	lines, err := e.encode(page.Items)
	if err != nil {
		return err
	}
	oddLines, err := e.encodeOdd(odd)
	if err != nil {
		return err
	}
	if err := appendTo(e.file, lines); err != nil {
		return err
	}
	if len(odd) > 0 {
		if err := e.appendOdd(oddLines); err != nil {
			return err
		}
	}
	e.at = checkpoint{
		Owner: e.owner, Cursor: page.Next, Offset: e.at.Offset + int64(len(lines)), Done: page.Next == "",
		Odd: e.at.Odd + len(odd), OddOffset: e.at.OddOffset + int64(len(oddLines)),
	}
	if err := e.save(); err != nil {
		return err
	}
	e.progress(len(e.ids))
	return nil
}

// encode makes a line of each record. It skips a record that has moved from an earlier page to this one.
func (e *export[T]) encode(items []*T) ([]byte, error) {
	var lines bytes.Buffer
	encoder := json.NewEncoder(&lines)
	for _, item := range items {
		id := e.id(item)
		if e.ids[id] {
			continue
		}
		if err := encoder.Encode(item); err != nil {
			return nil, err
		}
		e.ids[id] = true
	}
	return lines.Bytes(), nil
}

// encodeOdd makes a line of each record that does not decode, as the service sent it.
func (e *export[T]) encodeOdd(odd []*drift.RecordError) ([]byte, error) {
	var lines bytes.Buffer
	encoder := json.NewEncoder(&lines)
	encoder.SetEscapeHTML(false)
	for _, record := range odd {
		if e.first == nil {
			e.first = record
		}
		if err := encoder.Encode(record.Raw()); err != nil {
			return nil, err
		}
	}
	return lines.Bytes(), nil
}

// appendOdd writes to the second file, and creates it if necessary.
func (e *export[T]) appendOdd(lines []byte) error {
	if e.odd == nil {
		file, err := os.OpenFile(e.oddPath(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600) // also personal data
		if err != nil {
			return err
		}
		e.odd = file
	}
	return appendTo(e.odd, lines)
}

func appendTo(file *os.File, data []byte) error {
	if _, err := file.Write(data); err != nil {
		return err
	}
	return file.Sync()
}

func (e *export[T]) close() error {
	err := e.file.Close()
	if e.odd != nil {
		err = errors.Join(err, e.odd.Close())
	}
	return err
}

// open reads the last checkpoint, and cuts off everything that the last run wrote after it.
func (e *export[T]) open() error {
	if err := e.load(); err != nil {
		return err
	}
	file, err := os.OpenFile(e.path, os.O_RDWR|os.O_CREATE, 0o600) // the records are personal data
	if err != nil {
		return err
	}
	e.file = file
	if err := e.rewind(); err != nil {
		return errors.Join(err, file.Close())
	}
	return nil
}

func (e *export[T]) rewind() error {
	if err := cut(e.path, e.at.Offset); err != nil {
		return err
	}
	if err := e.rewindOdd(); err != nil {
		return err
	}
	return e.readIDs()
}

func (e *export[T]) rewindOdd() error {
	if e.at.OddOffset > 0 {
		return cut(e.oddPath(), e.at.OddOffset)
	}
	if err := os.Remove(e.oddPath()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// cut truncates a file to the length in its checkpoint.
func cut(path string, size int64) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Size() < size {
		return fmt.Errorf("%s is shorter than its checkpoint says: remove both to start over", path)
	}
	return os.Truncate(path, size)
}

// readIDs reads the ids of all records in the file, and leaves the position at the end.
func (e *export[T]) readIDs() error {
	e.ids, e.cursors = map[int64]bool{}, map[string]bool{}
	decoder := json.NewDecoder(bufio.NewReader(e.file))
	for {
		var line struct {
			ID int64 `json:"id"`
		}
		err := decoder.Decode(&line)
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("%s: %w", e.path, err)
		}
		e.ids[line.ID] = true
	}
	_, err := e.file.Seek(0, io.SeekEnd)
	return err
}

func (e *export[T]) checkpointPath() string { return e.path + ".checkpoint" }

// oddPath returns the path of the second file: for contacts.jsonl it is contacts.unreadable.jsonl.
func (e *export[T]) oddPath() string {
	extension := filepath.Ext(e.path)
	return strings.TrimSuffix(e.path, extension) + ".unreadable" + extension
}

// load reads the checkpoint, which must be one of the same account. Without one this is the first run, which must not
// overwrite existing files.
func (e *export[T]) load() error {
	data, err := os.ReadFile(e.checkpointPath())
	if err == nil {
		return e.resume(data)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, path := range []string{e.path, e.oddPath()} {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s exists but has no checkpoint: choose another folder", path)
		}
	}
	e.at = checkpoint{Owner: e.owner}
	return e.save()
}

func (e *export[T]) resume(data []byte) error {
	if err := json.Unmarshal(data, &e.at); err != nil {
		return fmt.Errorf("%s: %w", e.checkpointPath(), err)
	}
	if e.at.Owner != e.owner {
		return fmt.Errorf("%s has records of %s, and this is %s: choose another folder", e.path, e.at.Owner, e.owner)
	}
	return nil
}

// save replaces the checkpoint by a rename, so that a partial one never exists.
func (e *export[T]) save() error {
	data, err := json.Marshal(e.at)
	if err != nil {
		return err
	}
	temporary := e.checkpointPath() + ".tmp"
	if err := writeAndSync(temporary, data); err != nil {
		return err
	}
	if err := os.Rename(temporary, e.checkpointPath()); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(e.path))
}

func writeAndSync(path string, data []byte) (err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if _, err := file.Write(data); err != nil {
		return err
	}
	return file.Sync()
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
