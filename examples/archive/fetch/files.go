package fetch

import (
	"context"
	"errors"
	"fmt"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/classic"
	"github.com/driftsdk/drift/examples/archive/store"
)

func (f *Fetcher) files(ctx context.Context) error {
	return f.run(ctx, &stage{kind: "files", operation: "classic.attachments.download", scope: scopeConversations,
		subject: func(id int64) string { return fmt.Sprintf("attachment %d", id) }, read: f.file})
}

// file downloads an attachment. Its row names the file only once the file is on disk.
func (f *Fetcher) file(ctx context.Context, d store.Due) error {
	var checksum string
	var size int64
	err := f.try(ctx, func(ctx context.Context) (err error) {
		checksum, size, err = f.download(ctx, classic.AttachmentID(d.ID))
		return err
	})
	if err != nil {
		return err
	}
	return f.write(ctx, func(tx *store.Tx) error {
		if err := tx.ClearOddities("classic.attachments.download", fmt.Sprintf("attachment %d", d.ID)); err != nil {
			return err
		}
		return tx.PutFile(d.ID, checksum, size)
	})
}

func (f *Fetcher) download(ctx context.Context, id classic.AttachmentID) (checksum string, size int64, err error) {
	part, err := f.store.NewPart()
	if err != nil {
		return "", 0, err
	}
	defer func() { err = errors.Join(err, part.Close()) }()
	w := &diskWriter{part: part}
	if err := f.api.Attachments.Download(ctx, id, w, drift.WithMaxResponseBytes(maxFile)); err != nil {
		return "", 0, errors.Join(w.err, err)
	}
	return part.Keep()
}

// maxFile is larger than any file that a chat takes.
const maxFile = 1 << 40

// diskWriter remembers why the disk did not take the data: that ends the sync, unlike an error of the service.
type diskWriter struct {
	part *store.Part
	err  error
}

// Write implements io.Writer.
func (w *diskWriter) Write(data []byte) (int, error) {
	n, err := w.part.Write(data)
	if err != nil {
		w.err = &diskError{err}
	}
	return n, err
}

// diskError is a file that cannot be written.
type diskError struct{ err error }

// Error names the disk.
func (e *diskError) Error() string { return "the file cannot be written: " + e.err.Error() }

// Unwrap returns the cause.
func (e *diskError) Unwrap() error { return e.err }

func isOnDisk(err error) bool {
	var disk *diskError
	return errors.As(err, &disk)
}
