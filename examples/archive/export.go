package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/driftsdk/drift/examples/archive/page"
	"github.com/driftsdk/drift/examples/archive/store"
)

// exported is the result of export.
type exported struct {
	Format string `json:"format"`
	Path   string `json:"path"`
}

// export is the command export.
func export(ctx context.Context, c *invocation) error {
	format := c.flags.String("format", "jsonl", "jsonl, csv or html")
	out := c.flags.String("out", "", "the new `file`, or the new folder for html (default drift-export.jsonl and so on)")
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
	if *out == "" {
		*out = "drift-export." + *format
	}
	s, err := store.OpenReader(ctx, c.dir)
	if err != nil {
		return err
	}
	if err := errors.Join(exportTo(ctx, s, *format, filter, *out), s.Close()); err != nil {
		return err
	}
	return c.print(exported{Format: *format, Path: *out}, func(w io.Writer) {
		fmt.Fprintf(w, "Written: %s. It holds personal data, and archive forget does not reach it.\n", *out)
	})
}

func exportTo(ctx context.Context, s *store.Store, format string, filter store.Filter, path string) error {
	switch format {
	case "html":
		return page.WriteFolder(ctx, s, filter, path)
	case "csv":
		return writeNew(path, func(w io.Writer) error { return page.WriteCSV(ctx, s, filter, w) })
	case "jsonl":
		return writeNew(path, func(w io.Writer) error { return page.WriteJSONLines(ctx, s, filter, w) })
	}
	return errors.New("-format is jsonl, csv or html")
}

// writeNew writes a file that only the owner can read. It replaces nothing, and leaves nothing behind if it fails.
func writeNew(path string, write func(io.Writer) error) (err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(file, 1<<20)
	err = write(out)
	if err == nil {
		err = out.Flush()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}
