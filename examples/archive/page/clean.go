package page

import (
	"html"
	"html/template"
	"net/url"
	"strings"

	"github.com/microcosm-cc/bluemonday"
	xhtml "golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// longestBody is how many bytes of a body are shown with its formatting. A longer one is shown as text, since parsing
// hostile HTML takes more than linear time.
const longestBody = 256 << 10

// bodies says which HTML of a message is shown. It allows no attribute but href, so a message cannot borrow the look of
// the page, and no image, since a remote one tells its owner when the archive is read.
var bodies = bodyPolicy()

func bodyPolicy() *bluemonday.Policy {
	policy := bluemonday.NewPolicy()
	policy.AllowElements("p", "br", "hr", "div", "span", "b", "strong", "i", "em", "u", "s", "del", "ins", "sub", "sup",
		"small", "code", "kbd", "pre", "blockquote", "ul", "ol", "li", "dl", "dt", "dd", "h1", "h2", "h3", "h4", "h5",
		"h6", "table", "caption", "thead", "tbody", "tfoot", "tr", "th", "td")
	policy.AllowAttrs("href").OnElements("a")
	policy.AllowURLSchemes("mailto", "tel")
	// Without a host, http:x is a link relative to the page.
	hasHost := func(link *url.URL) bool { return link.Host != "" }
	policy.AllowURLSchemeWithCustomPolicy("http", hasHost)
	policy.AllowURLSchemeWithCustomPolicy("https", hasHost)
	policy.RequireParseableURLs(true)
	policy.RequireNoFollowOnLinks(true)
	policy.RequireNoReferrerOnLinks(true)
	policy.AddTargetBlankToFullyQualifiedLinks(true)
	policy.AddSpaceWhenStrippingTag(true)
	return policy
}

// clean returns what may be shown of a body: HTML with the elements of the policy, all of them closed. A body that does
// not parse is shown as text.
func clean(body string) template.HTML {
	if len(body) > longestBody {
		return asText(body)
	}
	tidy, err := balance(bodies.Sanitize(nameImages(body)))
	if err != nil {
		return asText(body)
	}
	return template.HTML(tidy)
}

// plainText says whether a body is text rather than HTML, so that its line breaks count.
func plainText(body string) bool { return !strings.Contains(body, "<") }

func asText(body string) template.HTML {
	return template.HTML("<pre>" + html.EscapeString(body) + "</pre>")
}

// nameImages replaces each image by its name, so that a reader sees that there was one.
func nameImages(body string) string {
	if !strings.Contains(strings.ToLower(body), "<im") {
		return body
	}
	var out strings.Builder
	tokens := xhtml.NewTokenizer(strings.NewReader(body))
	for {
		kind := tokens.Next()
		if kind == xhtml.ErrorToken {
			return out.String()
		}
		raw := string(tokens.Raw())
		if kind != xhtml.StartTagToken && kind != xhtml.SelfClosingTagToken {
			out.WriteString(raw)
			continue
		}
		if token := tokens.Token(); token.DataAtom == atom.Img || token.DataAtom == atom.Image {
			raw = html.EscapeString(imageName(token))
		}
		out.WriteString(raw)
	}
}

func imageName(image xhtml.Token) string {
	for _, attribute := range image.Attr {
		if attribute.Key == "alt" && strings.TrimSpace(attribute.Val) != "" {
			return "[image: " + attribute.Val + "]"
		}
	}
	return "[image]"
}

// balance closes what a body leaves open and drops what it closes without opening. A stray </div> would otherwise end
// the message, and the rest could pose as another one.
func balance(body string) (string, error) {
	nodes, err := xhtml.ParseFragment(strings.NewReader(body), &xhtml.Node{
		Type: xhtml.ElementNode, Data: "div", DataAtom: atom.Div,
	})
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for _, node := range nodes {
		if err := xhtml.Render(&out, node); err != nil {
			return "", err
		}
	}
	return out.String(), nil
}
