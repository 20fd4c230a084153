package page

import (
	"strconv"
)

// Site says where the pages are: below the key of a server, or in a folder.
type site struct {
	root   string // what the address of a page begins with; in a folder, the way up
	Folder bool
	Notice string // above every page
	Origin string // what was archived
}

func (s *site) address(path string) string {
	if s.Folder {
		path += ".html"
	}
	return s.root + path
}

// Home returns the address of the list.
func (s *site) Home() string {
	if s.Folder {
		return s.root + "index.html"
	}
	return s.root
}

// Conversation returns the address of a conversation.
func (s *site) Conversation(id int64) string {
	return s.address("conversations/" + strconv.FormatInt(id, 10))
}

// Contact returns the address of a contact.
func (s *site) Contact(id int64) string { return s.address("contacts/" + strconv.FormatInt(id, 10)) }

// Oddities returns the address of the oddities.
func (s *site) Oddities() string { return s.address("oddities") }

// Verification returns the address of the last verification.
func (s *site) Verification() string { return s.address("verification") }

// Style returns the address of the style sheet.
func (s *site) Style() string { return s.root + "style.css" }

// Policy returns the Content-Security-Policy of a page in a folder, where there is no header.
func (s *site) Policy() string {
	return "default-src 'none'; style-src 'self' file:; form-action 'none'; base-uri 'none'"
}
