package filestore

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/driftsdk/drift/internal/wire"
)

// Reasons to reject a file. errors.Is finds them in an [*Error]. A client's error includes them, without the file's
// path.
var (
	// ErrCorrupt: the file is damaged, truncated or not a file of this package, or it was replaced while in use. Only a
	// person can decide what to do. To start over, delete the file: a count is then 0, and without tokens a person has
	// to authorize the application again.
	ErrCorrupt error = wire.Reason("the file is damaged")

	// ErrAccount: the file holds the calls or the tokens of another account; see [WithAccount].
	ErrAccount error = wire.Reason("the file belongs to another account")

	// ErrSettings: the file has another plan, time zone or number of calls a minute than this process. The error's text
	// says which. Give all processes the same, or use [WithChangedSettings] once if the change is intended.
	ErrSettings error = wire.Reason("the file is used with other settings")

	// ErrVersion: a later version of this package wrote the file. Update this program.
	ErrVersion error = wire.Reason("the file is of an unknown version")

	// ErrUnsafe: the path is a symbolic link, a directory or anything else but a regular file, or others than the
	// file's owner may read or write it. A file of tokens must also belong to the user of the process, and lie in a
	// directory where no other user may replace files; see [WithSharedOwnership]. Owners and permissions are not
	// checked on Windows.
	ErrUnsafe error = wire.Reason("the file is not safe to use")
)

// Error reports a file that cannot be used. errors.Is finds this package's reason or the system's error in it, such as
// [fs.ErrPermission], [fs.ErrClosed] or syscall.ENOSPC.
type Error struct {
	Path string // of the file, absolute
	Err  error
}

func (e *Error) Error() string { return "filestore: " + e.Path + ": " + e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// wrap adds the file's path. It removes the path from the system's error, unless that is the path of another file, such
// as the lock.
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
