package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/driftsdk/drift/examples/archive/page"
	"github.com/driftsdk/drift/examples/archive/store"
)

// exported is the result of export.
type exported struct {
	Format        string `json:"format"`
	Path          string `json:"path"`
	Conversations int    `json:"conversations"`
}

// formats are what export writes where, unless -out says otherwise.
var formats = map[string]string{"jsonl": "drift-export.jsonl", "csv": "drift-export.csv", "html": "drift-export"}

// export is the command export.
func export(ctx context.Context, c *invocation) error {
	format := c.flags.String("format", "jsonl", "the `format`: jsonl has everything as Drift sent it, csv the texts for "+
		"a spreadsheet, html pages to read")
	out := c.flags.String("out", "", "the new `file`, or the new folder for html (default drift-export.jsonl, "+
		"drift-export.csv or drift-export)")
	var search page.Search
	c.flags.StringVar(&search.Words, "q", "", "only conversations with all of these `words` in one message")
	c.flags.StringVar(&search.Status, "status", "", "only those with this `status`, such as open")
	c.flags.Int64Var(&search.Agent, "agent", 0, "only those in which the user with this `id` wrote")
	c.flags.StringVar(&search.Contact, "contact", "", "only those of the contact with this `address or id`")
	c.flags.StringVar(&search.Tag, "tag", "", "only those with this `tag`")
	c.flags.StringVar(&search.From, "from", "", "only those changed on this `day` or later, such as 2026-03-01")
	c.flags.StringVar(&search.To, "to", "", "only those changed on this `day` or earlier")
	c.flags.BoolVar(&search.Files, "files", false, "only those with files")
	if err := c.parse(); err != nil {
		return err
	}
	filter, err := search.Filter()
	if err != nil {
		return err
	}
	if formats[*format] == "" {
		return fmt.Errorf("-format %q: must be jsonl, csv or html", *format)
	}
	r := exported{Format: *format, Path: cmp.Or(*out, formats[*format])}
	s, err := store.OpenReader(ctx, c.dir)
	if err != nil {
		return err
	}
	if err := errors.Join(r.write(ctx, s, filter), s.Close()); err != nil {
		return err
	}
	return c.print(r, func(w io.Writer) {
		open := ""
		if r.Format == "html" {
			open = " Open " + filepath.Join(r.Path, "index.html") + " in a browser."
		}
		fmt.Fprintf(w, "Written to %s: %s.%s\nIt holds personal data, and archive forget does not reach it.\n", r.Path,
			counted(r.Conversations, "conversation"), open)
	})
}

func (r *exported) write(ctx context.Context, s *store.Store, filter store.Filter) (err error) {
	if r.Format == "html" {
		r.Conversations, err = page.WriteFolder(ctx, s, filter, r.Path)
		return err
	}
	write := page.WriteJSONLines
	if r.Format == "csv" {
		write = page.WriteCSV
	}
	return writeNew(r.Path, func(w io.Writer) (err error) {
		r.Conversations, err = write(ctx, s, filter, w)
		return err
	})
}

// writeNew writes a file that only the owner can read. It replaces nothing, and leaves nothing behind if it fails. Until
// it is complete, the file has another name.
func writeNew(path string, write func(io.Writer) error) (err error) {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return cmp.Or(err, fmt.Errorf("%s exists already: delete it, or choose another file with -out", path))
	}
	part := path + ".part"
	file, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(file, 1<<20)
	err = write(out)
	if err == nil {
		err = out.Flush()
	}
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(part, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(part))
	}
	return nil
}
