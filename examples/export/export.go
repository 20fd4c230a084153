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

	"github.com/driftsdk/drift"
)

// export writes every record of a list into a file, page by page.
//
// After each page the file is flushed to the disk, and only then the checkpoint moves on. Whatever happens in between, the file
// holds at least what the checkpoint says; what it holds beyond that is cut off by the next run, which reads that page again.
type export[T any] struct {
	path     string
	list     func(ctx context.Context, cursor string) (*drift.Page[T], error)
	id       func(*T) int64
	progress func(records int)

	file    *os.File
	at      checkpoint
	ids     map[int64]bool  // in the file
	cursors map[string]bool // read by this run
}

// checkpoint is how far an export has come.
type checkpoint struct {
	Cursor string `json:"cursor"` // of the page that is next; "": the first
	Offset int64  `json:"offset"` // how much of the file is good
	Done   bool   `json:"done"`
}

// run exports what is missing: everything, the rest, or, of a finished export, nothing.
func (e *export[T]) run(ctx context.Context) (err error) {
	if err := e.open(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.file.Close()) }()
	e.progress(len(e.ids))
	for !e.at.Done {
		if err := e.page(ctx); err != nil {
			return err
		}
	}
	return nil
}

// page reads one page, writes it, and moves the checkpoint behind it.
func (e *export[T]) page(ctx context.Context) error {
	if e.cursors[e.at.Cursor] {
		return drift.ErrCursorLoop
	}
	e.cursors[e.at.Cursor] = true
	page, err := e.list(ctx, e.at.Cursor)
	if err != nil {
		return err
	}
	lines, err := e.encode(page.Items)
	if err != nil {
		return err
	}
	if _, err := e.file.Write(lines); err != nil {
		return err
	}
	if err := e.file.Sync(); err != nil {
		return err
	}
	e.at = checkpoint{Cursor: page.Next, Offset: e.at.Offset + int64(len(lines)), Done: page.Next == ""}
	if err := e.save(); err != nil {
		return err
	}
	e.progress(len(e.ids))
	return nil
}

// encode makes a line of each record. A record that moved to a later page while the export went on is not written again.
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

// open finds out where the last run stopped, and cuts off what it wrote after its last checkpoint.
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
	info, err := e.file.Stat()
	if err != nil {
		return err
	}
	if info.Size() < e.at.Offset {
		return fmt.Errorf("%s is shorter than its checkpoint says: remove both to begin again", e.path)
	}
	if err := e.file.Truncate(e.at.Offset); err != nil {
		return err
	}
	return e.readIDs()
}

// readIDs learns what the file holds, and leaves its position at the end.
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

// load reads the checkpoint. Where there is none this is the first run, which must not overwrite somebody's file.
func (e *export[T]) load() error {
	data, err := os.ReadFile(e.checkpointPath())
	if err == nil {
		return json.Unmarshal(data, &e.at)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, err := os.Lstat(e.path); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is there, but no checkpoint of it: choose another folder", e.path)
	}
	return e.save()
}

// save puts the checkpoint in place with a rename, so that there is always a whole one.
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

// syncFolder makes a rename outlast a power cut.
func syncFolder(path string) error {
	if runtime.GOOS == "windows" {
		return nil // which does not flush folders
	}
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
