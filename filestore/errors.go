package filestore

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/driftsdk/drift/internal/wire"
)

// Why a file is refused; errors.Is finds them in an [*Error]. A client's error shows them too, without the file's path.
var (
	// ErrCorrupt: the file is damaged, cut short or no file of this package, or it was replaced while it was in use.
	// Only a person can tell what the count should be. To begin again, delete the file: the count is then 0, and a person has
	// to authorize the application again.
	ErrCorrupt error = wire.Reason("the file is damaged")

	// ErrAccount: the file keeps the calls or the tokens of another account, see [WithAccount].
	ErrAccount error = wire.Reason("the file belongs to another account")

	// ErrVersion: a later version of this package has written the file.
	ErrVersion error = wire.Reason("the file is of an unknown version")

	// ErrUnsafe: the path is a symbolic link, a directory or anything else but a regular file, or others than the file's owner
	// may read or write it. A file of tokens must also belong to the user of the process, and lie in a directory where no other
	// user may replace files; see [WithSharedOwnership]. Owners and permissions are not checked on Windows.
	ErrUnsafe error = wire.Reason("the file is not safe to use")
)

// Error is a file that cannot be used. errors.Is finds the reasons of this package and of the system in it, such as
// [fs.ErrPermission], [fs.ErrClosed] or syscall.ENOSPC.
type Error struct {
	Path string // of the file, absolute
	Err  error
}

func (e *Error) Error() string { return "filestore: " + e.Path + ": " + e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// wrap names the file. The path is left out of the system's error, unless it is that of another file: the lock, for instance.
func wrap(path string, err error) error {
	var named *Error
	if errors.As(err, &named) {
		return err
	}
	var system *fs.PathError
	if errors.As(err, &system) && system.Path == path {
		err = fmt.Errorf("%s: %w", system.Op, system.Err)
	}
	return &Error{Path: path, Err: err}
}
