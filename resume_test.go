package drift

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/internal/rest"
)

// The downloads of package classic test the whole; these are the headers.
func TestResumeHeaders(t *testing.T) {
	header := http.Header{}
	(&resume{written: 7, validator: "a"}).ask(header, &rest.Input{})
	assert.Empty(t, header, "only downloads are resumed")
	(&resume{}).ask(header, &rest.Input{Resume: true})
	assert.Equal(t, http.Header{"Accept-Encoding": {"identity"}}, header)
	(&resume{written: 7, validator: `"a"`}).ask(header, &rest.Input{Resume: true})
	assert.Equal(t, http.Header{"Accept-Encoding": {"identity"}, "Range": {"bytes=7-"}, "If-Range": {`"a"`}}, header)
}

func TestResumeOpens(t *testing.T) {
	answer := func(status int, pairs ...string) *http.Response {
		header := http.Header{}
		for i := 0; i < len(pairs); i += 2 {
			header.Set(pairs[i], pairs[i+1])
		}
		return &http.Response{StatusCode: status, Header: header}
	}
	compressed := answer(200, "ETag", `"a"`)
	compressed.Uncompressed = true
	for want, resp := range map[string][]*http.Response{
		`"a"`: {answer(200, "ETag", `"a"`), answer(200, "ETag", `"a"`, "Last-Modified", "b", "Accept-Ranges", "bytes")},
		"b":   {answer(200, "Last-Modified", "b"), answer(200, "ETag", `W/"a"`, "Last-Modified", "b")},
		"": {answer(200), answer(200, "ETag", `W/"a"`), answer(200, "ETag", `"a"`, "Accept-Ranges", "none"),
			answer(206, "ETag", `"a"`), compressed},
	} {
		for _, first := range resp {
			r := resume{validator: "old"}
			require.NoError(t, r.open(first))
			assert.Equal(t, want, r.validator)
			assert.Equal(t, want != "", r.possible())
		}
	}
	r := resume{written: 7, validator: `"a"`}
	require.NoError(t, r.open(answer(206, "Content-Range", "bytes 7-9/10", "ETag", `"a"`)))
	require.NoError(t, r.open(answer(206, "Content-Range", "bytes 7-9/*")))
	for _, other := range []*http.Response{
		answer(200), answer(206), answer(206, "Content-Range", "bytes 0-9/10"), answer(206, "Content-Range", "bytes 70-71/72"),
		answer(206, "Content-Range", "bytes 7-9/10", "ETag", `"b"`),
	} {
		require.Error(t, r.open(other))
	}
	assert.True(t, r.complete(http.Header{"Content-Range": {"bytes */7"}}))
	assert.False(t, r.complete(http.Header{"Content-Range": {"bytes */8"}}))
	assert.False(t, (&resume{}).complete(http.Header{"Content-Range": {"bytes */0"}}))
}
