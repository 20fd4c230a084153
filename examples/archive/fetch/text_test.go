package fetch

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestPlainText(t *testing.T) {
	for body, want := range map[string]string{
		"":                                    "",
		"plain":                               "plain",
		"<p>one</p><p>two</p>":                "one\n\ntwo",
		"a<br>b":                              "a\nb",
		"1 &lt; 2 &amp;&amp; <b>bo</b>ld":     "1 < 2 && bold",
		"<script>alert(1)</script>after":      "after",
		"<style>p{}</style><div>x</div>":      "x",
		"broken <b":                           "broken",
		"</script></script>text":              "text",
		"<img src=x onerror=alert(1)>picture": "picture",
	} {
		assert.Equal(t, want, plainText(body), body)
	}
}
