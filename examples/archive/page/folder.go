package page

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/driftsdk/drift/examples/archive/store"
)

// WriteFolder writes the pages of the conversations that a filter selects, with their contacts and files, to a folder
// that is new or empty, and returns how many conversations there were. They need no program: open index.html. If
// WriteFolder fails, nothing stays in the folder. Nothing that was forgotten later goes from there.
func WriteFolder(
	ctx context.Context, archive *store.Store, filter store.Filter, dir string,
) (conversations int, err error) {
	f := &folder{archive: archive, dir: dir, contacts: map[int64][]row{}}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	if len(entries) > 0 {
		return 0, fmt.Errorf("the folder %s is not empty: choose another one, so that no old page stays in it", dir)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	for _, step := range []func(context.Context) error{
		f.create,
		func(ctx context.Context) error { return f.writeConversations(ctx, filter) },
		f.writeContacts, f.writeReports, f.writeStyle, f.complete,
	} {
		if err := step(ctx); err != nil {
			return 0, err
		}
	}
	return f.conversations, nil
}

type folder struct {
	archive  *store.Store
	dir      string
	agents   agents
	contacts map[int64][]row // the conversations of each contact

	conversations int
}

func (f *folder) create(context.Context) error {
	for _, name := range []string{"", "conversations", "contacts", "files"} {
		if err := os.MkdirAll(filepath.Join(f.dir, name), 0o700); err != nil {
			return err
		}
	}
	return nil
}

const partExtension = ".part"

func (f *folder) complete(context.Context) error {
	path := filepath.Join(f.dir, listPath(1))
	return os.Rename(path+partExtension, path)
}

func (f *folder) writeStyle(context.Context) error {
	css, err := assets.ReadFile("style.css")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(f.dir, "style.css"), css, 0o600)
}

// write writes a page. Its path has slashes.
func (f *folder) write(path, name string, v view) error {
	v.Site = site{Folder: true, root: strings.Repeat("../", strings.Count(path, "/"))}
	page, err := render(name, v)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(filepath.Join(f.dir, filepath.FromSlash(path)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(page)
	return errors.Join(err, file.Close())
}

// writeConversations writes every conversation, and the list in pages. A page of the list is written when it is known
// whether there is another one.
func (f *folder) writeConversations(ctx context.Context, filter store.Filter) (err error) {
	if f.agents, err = readAgents(ctx, f.archive); err != nil {
		return err
	}
	var pending []store.Summary
	number := 1
	for summary, err := range f.archive.All(ctx, filter) {
		if err != nil {
			return err
		}
		if err := f.writeConversation(ctx, summary); err != nil {
			return err
		}
		if len(pending) == listed {
			if err := f.writeList(pending, number, true); err != nil {
				return err
			}
			number, pending = number+1, nil
		}
		pending = append(pending, *summary)
		f.conversations++
	}
	return f.writeList(pending, number, false)
}

func (f *folder) writeConversation(ctx context.Context, summary *store.Summary) error {
	content, err := readThread(ctx, f.archive, site{Folder: true, root: "../"}, summary.ID, everything)
	if err != nil {
		return err
	}
	if content.Contact.ID != 0 {
		short := *summary
		short.Raw, short.Details = nil, nil
		f.contacts[content.Contact.ID] = append(f.contacts[content.Contact.ID], rows([]store.Summary{short})...)
	}
	if err := f.copyFiles(ctx, summary.ID); err != nil {
		return err
	}
	return f.write(fmt.Sprintf("conversations/%d.html", summary.ID), "conversation", view{
		Title: content.Contact.Name, Section: "conversations", Content: content,
	})
}

func (f *folder) writeList(summaries []store.Summary, number int, isMore bool) error {
	content := list{Rows: rows(summaries)}
	if number > 1 {
		content.Newer = "index.html"
	}
	if isMore {
		content.Older = listPath(number + 1)
	}
	path := listPath(number)
	if number == 1 {
		path += partExtension // as long as the folder is not complete, it has no index.html
	}
	return f.write(path, "conversations", view{
		Title: "Conversations", Section: "conversations", Content: content,
	})
}

func listPath(number int) string {
	if number == 1 {
		return "index.html"
	}
	return fmt.Sprintf("index-%d.html", number)
}

func (f *folder) writeContacts(ctx context.Context) error {
	for id, rows := range f.contacts {
		contact, err := f.archive.Contact(ctx, id)
		if err != nil {
			return err
		}
		content := newProfile(contact, new(store.Page))
		content.Rows = rows
		if err := f.write(fmt.Sprintf("contacts/%d.html", id), "contact", view{
			Title: content.Contact.Name, Section: "conversations", Content: content,
		}); err != nil {
			return err
		}
	}
	return nil
}

func (f *folder) writeReports(ctx context.Context) error {
	odd, err := f.archive.Oddities(ctx)
	if err != nil {
		return err
	}
	if err := f.write("oddities.html", "oddities", view{
		Title: "Oddities", Section: "oddities", Content: newOddities(odd),
	}); err != nil {
		return err
	}
	content, err := readVerification(ctx, f.archive)
	if err != nil {
		return err
	}
	return f.write("verification.html", "verification", view{
		Title: "Verification", Section: "verification", Content: content,
	})
}

func (f *folder) copyFiles(ctx context.Context, conversationID int64) error {
	messages, err := f.archive.Messages(ctx, conversationID)
	if err != nil {
		return err
	}
	for _, m := range messages {
		for _, a := range m.Attachments {
			if a.State != "stored" {
				continue
			}
			if err := f.copyFile(a); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *folder) copyFile(a store.Attachment) (err error) {
	path := filepath.Join(f.dir, filepath.FromSlash(folderFile(a)))
	target, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil // another message has it too
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	source, err := f.archive.OpenFile(&a)
	if err != nil {
		return err
	}
	defer source.Close()
	_, err = io.Copy(target, source)
	return err
}

// folderFile returns the path of a file in a folder. A browser would run the scripts in some files, so that only those
// that cannot have any keep the end of their names.
func folderFile(a store.Attachment) string {
	name := fileName(a.Name)
	if !slices.Contains(inertFiles, strings.ToLower(filepath.Ext(name))) {
		name += ".bin"
	}
	return "files/" + strconv.FormatInt(a.ID, 10) + "-" + name
}

var inertFiles = []string{".txt", ".csv", ".log", ".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".heic", ".mp3",
	".m4a", ".wav", ".mp4", ".mov", ".webm", ".pdf", ".doc", ".docx", ".xls", ".xlsx", ".ppt", ".pptx", ".odt", ".ods",
	".odp", ".rtf", ".zip", ".gz", ".7z", ".eml", ".ics", ".vcf"}
