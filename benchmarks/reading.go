package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// reading is what it took to read a list, as the command in reader prints it.
type reading struct {
	Items                int
	PeakHeap, MedianHeap uint64 // bytes
	Seconds              float64
}

func mebibytes(n uint64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// memory is what it took to read long lists.
type memory struct {
	few, many, collected reading
}

const (
	leastHeapRatio = 100  // of the peaks: collecting over ranging
	mostGrowth     = 1.25 // of the medians: ranging over ten times as many pages
)

func (m memory) heapRatio() float64 { return float64(m.collected.PeakHeap) / float64(m.many.PeakHeap) }
func (m memory) growth() float64    { return float64(m.many.MedianHeap) / float64(m.few.MedianHeap) }

// measureMemory reads a list of that many pages and one of a tenth of them. Each way of reading is measured in a process of its
// own, which links nothing but the client. The server is here.
func measureMemory(pages int, collect bool) (m memory, err error) {
	dir, err := os.MkdirTemp("", "reader")
	if err != nil {
		return m, err
	}
	defer os.RemoveAll(dir)
	reader := filepath.Join(dir, "reader")
	if output, err := exec.Command("go", "build", "-o", reader, "./reader").CombinedOutput(); err != nil {
		return m, fmt.Errorf("%w: %s", err, output)
	}
	if m.few, err = readWith(reader, "iterate", pages/10); err != nil {
		return m, err
	}
	if m.many, err = readWith(reader, "iterate", pages); err != nil || !collect {
		return m, err
	}
	m.collected, err = readWith(reader, "collect", pages)
	return m, err
}

func readWith(reader, how string, pages int) (r reading, err error) {
	server := httptest.NewServer(newPageServer(pages, pageItems, 0))
	defer server.Close()
	command := exec.Command(reader, how, server.URL)
	command.Stderr = os.Stderr
	output, err := command.Output()
	if err != nil {
		return r, fmt.Errorf("%s %d pages: %w", how, pages, err)
	}
	if err := json.Unmarshal(output, &r); err != nil {
		return r, err
	}
	if r.Items != pages*pageItems {
		return r, fmt.Errorf("%s: %d items of %d pages", how, r.Items, pages)
	}
	return r, nil
}

// pageServer answers with pages of the same conversations, each after a delay. The cursor is the number of the page.
type pageServer struct {
	pages int
	delay time.Duration
	items []byte // the start of every page
}

func newPageServer(pages, items int, delay time.Duration) *pageServer {
	page := answerPage(1, items, "")
	return &pageServer{pages, delay, page[:bytes.LastIndex(page, []byte(`,"pagination"`))]}
}

func (s *pageServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	time.Sleep(s.delay)
	number, _ := strconv.Atoi(r.URL.Query().Get("next"))
	pagination := `,"pagination":{"more":false}}`
	if number+1 < s.pages {
		pagination = fmt.Sprintf(`,"pagination":{"more":true,"next":"%d"}}`, number+1)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(s.items)+len(pagination)))
	_, _ = w.Write(s.items)
	_, _ = w.Write([]byte(pagination))
}
