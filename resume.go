package drift

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/driftsdk/drift/internal/rest"
	"github.com/driftsdk/drift/internal/wire"
)

// resume is the state of a download across the attempts of its call. If an answer breaks off, the next attempt asks for
// the rest, provided that the service names the version of the file.
type resume struct {
	written   int64  // bytes that the caller's writer got
	validator string // a strong ETag, or Last-Modified; "": the download cannot be resumed
}

const errNotResumed = wire.Reason("the service did not send the rest of the file")

func (r *resume) possible() bool { return r.validator != "" }

// ask adds the headers that ask for the rest of the file. The encoding must not change between two parts, so downloads
// are not compressed.
func (r *resume) ask(header http.Header, in *rest.Input) {
	if !in.Resume {
		return
	}
	header.Set("Accept-Encoding", "identity")
	if r.written > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", r.written))
		header.Set("If-Range", r.validator)
	}
}

// open checks that an answer continues where the last one broke off.
func (r *resume) open(resp *http.Response) error {
	if r.written == 0 {
		r.validator = ""
		if resp.StatusCode == http.StatusOK && !resp.Uncompressed && resp.Header.Get("Accept-Ranges") != "none" {
			r.validator = validatorOf(resp.Header)
		}
		return nil
	}
	from := fmt.Sprintf("bytes %d-", r.written)
	if resp.StatusCode != http.StatusPartialContent || !strings.HasPrefix(resp.Header.Get("Content-Range"), from) {
		return unusable(KindUnexpectedContent, errNotResumed, "", "")
	}
	if validator := validatorOf(resp.Header); validator != "" && validator != r.validator {
		return unusable(KindUnexpectedContent, errNotResumed, "it has changed", "")
	}
	return nil
}

// validatorOf returns what identifies the version of a file byte by byte. A weak ETag does not.
func validatorOf(header http.Header) string {
	tag := header.Get("ETag")
	if strings.HasPrefix(tag, "W/") {
		tag = ""
	}
	return cmp.Or(tag, header.Get("Last-Modified"))
}

// complete reports whether an answer says that the file has no more bytes than the writer got: only the end of the
// earlier answer was lost.
func (r *resume) complete(header http.Header) bool {
	return r.written > 0 && header.Get("Content-Range") == "bytes */"+strconv.FormatInt(r.written, 10)
}

// report makes sure that the error of a call says how much the writer got before the call failed.
func (r *resume) report(c *call, err error) error {
	if err == nil || r.written == 0 || c.last.writerErr != nil || errors.As(err, new(*TransportError)) {
		return err
	}
	return c.transportError(err)
}
