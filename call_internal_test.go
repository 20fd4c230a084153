package drift

import (
	"net/http"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A call is used again for another one, perhaps of another client: nothing may be left of the first.
func TestNothingIsLeftOfACallThatIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c *call
		var atTheEnd callState
		client, err := NewClient(WithToken("token"), WithHTTPClient(&http.Client{Transport: benchAnswers{http.StatusServiceUnavailable, nil, ""}}),
			WithHooks(Hooks{Response: func(ResponseInfo) { atTheEnd = c.callState }}))
		require.NoError(t, err)
		var response Response
		c = client.caller.newCall(&routes[notesCreate], []CallOption{WithIdempotent(), WithHeader("X-Extra", "1"), WithTimeout(time.Hour), WithResponse(&response)},
			func([]byte) error { return nil })
		c.in = input{path: segments{ConversationID(1)}, body: &NoteCreateRequest{Body: "text"}, echo: echo{key: "key"}}
		require.ErrorIs(t, c.run(t.Context(), &c.in), ErrAmbiguous)

		for _, used := range []any{atTheEnd.core, atTheEnd.in.echo.key, atTheEnd.options.idempotent, atTheEnd.request.URL, atTheEnd.attempts, atTheEnd.waited,
			atTheEnd.last.token, atTheEnd.last.status, atTheEnd.previous, atTheEnd.applied, atTheEnd.delay} {
			assert.NotZero(t, used)
		}
		left := reflect.ValueOf(c.callState)
		for i := range left.NumField() {
			assert.True(t, left.Field(i).IsZero(), left.Type().Field(i).Name)
		}
		assert.Empty(t, c.bare)
		assert.Equal(t, 4, reflect.TypeFor[call]().NumField(), "what stands beside callState is there for the next call")
	})
}
