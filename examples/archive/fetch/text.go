package fetch

import (
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// plainText returns the text of HTML, for the search. What the page does not show, such as scripts, is left out.
func plainText(body string) string {
	if !strings.ContainsAny(body, "<&") {
		return strings.TrimSpace(body)
	}
	var text strings.Builder
	tokens := html.NewTokenizer(strings.NewReader(body))
	hidden := 0
	for {
		kind := tokens.Next()
		if kind == html.ErrorToken { // the end: broken HTML is no error
			return strings.TrimSpace(text.String())
		}
		token := tokens.Token()
		isHidden := token.DataAtom == atom.Script || token.DataAtom == atom.Style
		switch {
		case kind == html.StartTagToken && isHidden:
			hidden++
		case kind == html.EndTagToken && isHidden:
			hidden = max(hidden-1, 0)
		case kind == html.TextToken && hidden == 0:
			text.WriteString(token.Data)
		case isBlock[token.DataAtom] && kind != html.TextToken:
			text.WriteString("\n")
		}
	}
}

// isBlock are the elements that separate words.
var isBlock = map[atom.Atom]bool{
	atom.P: true, atom.Div: true, atom.Br: true, atom.Li: true, atom.Ul: true, atom.Ol: true, atom.Tr: true,
	atom.Td: true, atom.Th: true, atom.Table: true, atom.H1: true, atom.H2: true, atom.H3: true, atom.H4: true,
	atom.H5: true, atom.H6: true, atom.Hr: true, atom.Blockquote: true, atom.Pre: true,
}
