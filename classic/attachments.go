package classic

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/rest"
	"github.com/driftsdk/drift/internal/wire"
)

// AttachmentsService downloads the files of messages. The calls need the scope conversation_read.
//
// The interface may grow in minor versions: embed it in a fake, or declare an interface of the methods that you use.
type AttachmentsService interface {
	// Download writes a file to w as it arrives: GET attachments/{attachmentId}/data. If it does not exist, the error
	// matches [drift.ErrNotFound].
	//
	// The size is unlimited unless [drift.WithMaxResponseBytes] limits it. If the answer breaks off, or nothing arrives
	// for a minute, the next attempt asks for the rest, provided that the answer names the version of the file by a
	// strong ETag or Last-Modified; no byte is written twice. If the download fails after the first byte, the error is
	// a [*drift.TransportError] whose Written is the number of bytes that w got. If w fails, the error wraps that of w.
	Download(ctx context.Context, id AttachmentID, w io.Writer, opts ...drift.CallOption) error
}

// Attachment is a file of a message. To get it, pass ID to [AttachmentsService.Download]. The URL may name any host, so
// never send it the token.
type Attachment struct {
	ID       AttachmentID `json:"id,omitzero"` // if the service sends none, the one in the URL
	FileName string       `json:"fileName,omitzero"`
	MIMEType string       `json:"mimeType,omitzero"`
	URL      string       `json:"url,omitzero"`

	// Extra holds the fields that this type lacks; nil if there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

var attachmentsDownload = rest.Route{Name: "classic.attachments.download", Method: http.MethodGet, Path: "attachments/{attachmentId}/data"}

type attachments struct{ *caller }

func (s attachments) Download(
	ctx context.Context, id AttachmentID, w io.Writer, opts ...drift.CallOption,
) error {
	return rest.Stream(ctx, s.caller, &attachmentsDownload, rest.Input{Path: rest.Path{rest.ID(id)}}, w, opts)
}

// UnmarshalJSON decodes an attachment as sent by the API or encoded by MarshalJSON.
func (a *Attachment) UnmarshalJSON(data []byte) error {
	err := wire.UnmarshalObject(data, a)
	if a.ID == 0 {
		a.ID = idInURL(a.URL)
	}
	return err
}

// idInURL returns the id in the URL of an attachment, …/attachments/{id}/data, or 0.
func idInURL(link string) AttachmentID {
	link, _, _ = strings.Cut(link, "?")
	before, _ := strings.CutSuffix(link, "/data")
	_, id, found := cutLast(before, "/attachments/")
	n, err := strconv.ParseInt(id, 10, 64)
	if !found || err != nil || before == link || n < 0 {
		return 0
	}
	return AttachmentID(n)
}

func cutLast(text, separator string) (before, after string, found bool) {
	if i := strings.LastIndex(text, separator); i >= 0 {
		return text[:i], text[i+len(separator):], true
	}
	return text, "", false
}

// MarshalJSON encodes the attachment with the API's names, Extra included.
func (a Attachment) MarshalJSON() ([]byte, error) {
	type fields Attachment
	return wire.Marshal(fields(a))
}
