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
	Items                           int    // or bytes of a file
	StartHeap, PeakHeap, MedianHeap uint64 // bytes
	Seconds                         float64
}

// overStart is how much the heap grew at most.
func (r reading) overStart() float64 { return max(0, float64(r.PeakHeap)-float64(r.StartHeap)) }

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

// measureMemory reads a list of that many pages and one of a tenth of them.
func measureMemory(pages int, collect bool) (m memory, err error) {
	err = withReader(func(reader string) error {
		if m.few, err = readWith(reader, "iterate", pages/10); err != nil {
			return err
		}
		if m.many, err = readWith(reader, "iterate", pages); err != nil || !collect {
			return err
		}
		m.collected, err = readWith(reader, "collect", pages)
		return err
	})
	return m, err
}

// withReader builds the command in reader and measures with it. Each way of reading runs in a separate process, which
// links nothing but the client. The server is here.
func withReader(measure func(reader string) error) error {
	dir, err := os.MkdirTemp("", "reader")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	reader := filepath.Join(dir, "reader")
	if output, err := exec.Command("go", "build", "-o", reader, "./reader").CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, output)
	}
	return measure(reader)
}

func readWith(reader, how string, pages int) (reading, error) {
	return readFrom(reader, how, newPageServer(pages, pageItems, 0), pages*pageItems)
}

// readFrom lets the command read in one way, and checks that it got everything.
func readFrom(reader, how string, handler http.Handler, items int) (r reading, err error) {
	server := httptest.NewServer(handler)
	defer server.Close()
	command := exec.Command(reader, how, server.URL)
	command.Stderr = os.Stderr
	output, err := command.Output()
	if err != nil {
		return r, fmt.Errorf("%s: %w", how, err)
	}
	if err := json.Unmarshal(output, &r); err != nil {
		return r, err
	}
	if r.Items != items {
		return r, fmt.Errorf("%s: %d items of %d", how, r.Items, items)
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
