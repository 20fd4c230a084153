package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"
)

// document is the page whose tables the program writes, each between its markers; chartFile is the picture in it.
const (
	document  = "../docs/performance.md"
	chartFile = "../docs/performance.svg"
)

// findings are the tables of the document, and what is wrong with them. A process hands them to another as JSON.
type findings struct {
	Tables    map[string]string // by the name in the markers
	Missed    []string          // bounds that do not hold
	Disturbed []string          // rows whose control does not hold
}

// report measures what is wanted, and prints each table when it is ready.
type report struct {
	effort
	findings
	wanted func(row string) bool
	args   []string // that make another process measure the same
	out    io.Writer
	bars   []bar // of the chart
}

// section is a table and how to measure it.
type section struct {
	name    string
	measure func() (string, error)
}

func (r *report) everything() error {
	start, load := time.Now(), loadAverage()
	if err := r.comparisons(); err != nil {
		return err
	}
	if err := r.measureOther(); err != nil {
		return err
	}
	if err := r.measure(section{"memory", r.memory}, section{"rest", r.rest}); err != nil {
		return err
	}
	r.enter("machine", r.machine(start, load))
	return nil
}

// comparisons measures what depends on the JSON engine.
func (r *report) comparisons() error {
	return r.measure(section{tableOf("calls", engine), r.calls}, section{tableOf("peers", engine), r.peers})
}

func (r *report) measure(sections ...section) error {
	for _, s := range sections {
		table, err := s.measure()
		if err != nil {
			return err
		}
		r.enter(s.name, table)
	}
	return nil
}

// enter adds a table, and prints it if it has rows.
func (r *report) enter(name, table string) {
	r.Tables[name] = table
	if !strings.HasSuffix(table, "---|\n") {
		fmt.Fprintf(r.out, "%s\n\n%s\n", name, table)
	}
}

// add adds the findings of another process.
func (r *report) add(other findings, engine string) {
	for _, name := range slices.Sorted(maps.Keys(other.Tables)) {
		r.enter(name, other.Tables[name])
	}
	for _, text := range other.Missed {
		r.Missed = append(r.Missed, engine+": "+text)
	}
	for _, text := range other.Disturbed {
		r.Disturbed = append(r.Disturbed, engine+": "+text)
	}
}

// calls is the table of the calls against the floor.
func (r *report) calls() (string, error) {
	all, end, err := rows()
	if err != nil {
		return "", err
	}
	defer end()
	t := newTable("what", "time over that by hand", "at most", "allocations", "at most", "bytes", "at most",
		"by hand", "by hand over itself")
	for _, row := range all {
		if !r.wanted(row.name) {
			continue
		}
		c, err := row.measure(r.effort)
		if err != nil {
			return "", err
		}
		r.control(row.name, c)
		other, byHand := c.others[us], c.floor.cost
		time := c.ratio(other, c.floor)
		allocations, bytes := other.cost.allocations/byHand.allocations, other.cost.bytes/byHand.bytes
		r.atMost(row.name+", time", time.median, row.most.time)
		r.atMost(row.name+", allocations", allocations, row.most.allocations)
		r.atMost(row.name+", bytes", bytes, row.most.bytes)
		t.add(row.name, time.String(), bound(row.most.time),
			share(other.cost.allocations, byHand.allocations), bound(row.most.allocations),
			share(other.cost.bytes, byHand.bytes), bound(row.most.bytes),
			duration(c.floor.microseconds()), c.ratio(c.control, c.floor).String())
		if row.name == all[0].name {
			r.bars = append(r.bars, bar{"by hand", 1, 1}, bar{"drift", time.median, allocations})
		}
	}
	return t.String(), nil
}

// peers is the table of the other clients.
func (r *report) peers() (string, error) {
	t := newTable("client", "time over that by hand", "drift's time over it", "allocations", "bytes", "time over its own type by hand", "by hand over itself", "version")
	for _, p := range peers() {
		if !r.wanted(p.name) {
			continue
		}
		c, err := p.measure(r.effort)
		if err != nil {
			return "", err
		}
		r.control(p.name, c)
		peer := c.others[them]
		if !ahead(c) {
			r.Missed = append(r.Missed, fmt.Sprintf("drift over %s: %s, below 1", p.name, c.ratio(c.others[us], peer)))
		}
		time := c.ratio(peer, c.floor)
		t.add(p.name, time.String(), c.ratio(c.others[us], peer).String(),
			fmt.Sprintf("%.2f (%s)", peer.cost.allocations/c.floor.cost.allocations, whole(peer.cost.allocations)),
			fmt.Sprintf("%.2f (%s)", peer.cost.bytes/c.floor.cost.bytes, whole(peer.cost.bytes)),
			c.ratio(peer, c.others[theirType]).String(), c.ratio(c.control, c.floor).String(), versionOf(p.module))
		r.bars = append(r.bars, bar{p.name, time.median, peer.cost.allocations / c.floor.cost.allocations})
	}
	return t.String(), nil
}

// memory is the table of long lists.
func (r *report) memory() (string, error) {
	t := newTable("what", "items", "heap, peak", "heap, median", "seconds")
	var said []string
	for _, part := range []struct {
		name    string
		measure func(*table) (string, error)
	}{{"memory", r.lists}, {"memory of classic", r.classicMemory}} {
		if !r.wanted(part.name) {
			continue
		}
		text, err := part.measure(t)
		if err != nil {
			return "", err
		}
		said = append(said, text)
	}
	if said == nil {
		return t.String(), nil
	}
	return t.String() + "\n" + strings.Join(said, " ") + "\n", nil
}

// lists reads conversations, and says how the ways of reading compare.
func (r *report) lists(t *table) (string, error) {
	pages := 1000
	if r.quick {
		pages = 100
	}
	m, err := measureMemory(pages, true)
	if err != nil {
		return "", err
	}
	r.atMost("memory, ten times as many pages", m.growth(), mostGrowth)
	if !r.quick {
		r.atLeast("memory, collecting over ranging", m.heapRatio(), leastHeapRatio)
	}
	for _, way := range []struct {
		name string
		reading
	}{{"ranging over `All`, 1,000 conversations a page", m.few}, {"the same, ten times as many pages", m.many}, {"`Collect`", m.collected}} {
		t.addReading(way.name, way.reading)
	}
	return fmt.Sprintf("The peak of collecting is %.0f times that of ranging (at least %d). With ten times as many pages the median of ranging is %.2f of what it was (at most %.2f).",
		m.heapRatio(), leastHeapRatio, m.growth(), mostGrowth), nil
}

// classicMemory reads messages of the classic API and a file, and says what they take.
func (r *report) classicMemory(t *table) (string, error) {
	pages, size := 1_000_000/classicPageItems, 1<<30
	if r.quick {
		pages, size = pages/10, size/16
	}
	m, err := measureClassicMemory(pages, size)
	if err != nil {
		return "", err
	}
	r.atMost("memory of classic, ten times as many pages", m.growth(), mostGrowth)
	r.atMost("memory of classic, bytes of the heap for a download", m.file.overStart(), mostOfDownload)
	t.addReading("`classic`: ranging over `Messages.All`, 50 messages a page", m.few)
	t.addReading("the same, ten times as many pages", m.many)
	t.addReading(fmt.Sprintf("`classic`: downloading a file of %d MiB", size>>20), m.file)
	return fmt.Sprintf("With ten times as many pages the median of ranging over messages is %.2f of what it was (at most %.2f). The download takes at most %.2f MiB more than there was before it (at most %d MiB).",
		m.growth(), mostGrowth, m.file.overStart()/(1<<20), mostOfDownload>>20), nil
}

func (t *table) addReading(name string, r reading) {
	t.add(name, thousands(int64(r.Items)), mebibytes(r.PeakHeap), mebibytes(r.MedianHeap), fmt.Sprintf("%.1f", r.Seconds))
}

// rest is the table of what stands by itself.
func (r *report) rest() (string, error) {
	t := newTable("what", "measured", "bound")
	for _, part := range []struct {
		name    string
		measure func(*table) error
	}{
		{"prefetch", r.prefetch}, {"goroutines", r.scaling}, {"connections", r.connections}, {"limits", r.limits}, {"size", r.size},
	} {
		if !r.wanted(part.name) {
			continue
		}
		if err := part.measure(t); err != nil {
			return "", err
		}
	}
	return t.String(), nil
}

func (r *report) prefetch(t *table) error {
	p, err := measurePrefetch(r.quick)
	if err != nil {
		return err
	}
	r.atMost("prefetch with work", p.work.median, mostWithWork)
	r.atMost("prefetch without work", p.noWork.median, mostWithoutWork)
	t.add("`WithPrefetch`, 20 ms latency and 20 ms work a page: time over that without", p.work.String(), bound(mostWithWork))
	t.add("the same without work", p.noWork.String(), bound(mostWithoutWork))
	return nil
}

func (r *report) scaling(t *table) error {
	s, err := scalingUntilGood(r.effort)
	if err != nil {
		return err
	}
	const name = "256 goroutines, throughput per core"
	if s.client.median < leastPerCore && !s.counts() {
		r.Disturbed = append(r.Disturbed, fmt.Sprintf("%s %s by hand", name, s.hand))
	}
	r.atLeast(name, s.client.median, leastPerCore)
	t.add(fmt.Sprintf("256 goroutines on one client and %d cores, stubbed: throughput per core over that of one goroutine on one core", s.cores),
		s.client.String(), fmt.Sprintf("≥ %.2f", leastPerCore))
	t.add("the same by hand, where nothing is shared", s.hand.String(), "")
	t.add("throughput of those 256 goroutines over that of 256 by hand", s.together.String(), "")
	return nil
}

func (r *report) connections(t *table) error {
	client, hand, err := measureConnections()
	if err != nil {
		return err
	}
	r.atMost("connections", float64(client), mostConnections)
	t.add("connections that 64 goroutines open for 100 calls each, over loopback", strconv.Itoa(client), fmt.Sprintf("≤ %d", mostConnections))
	t.add("the same by hand with `http.DefaultTransport`", thousands(int64(hand)), "")
	return nil
}

func (r *report) limits(t *table) error {
	l, err := measureLimits(r.effort)
	if err != nil {
		return err
	}
	r.atMost("limiter and quota, µs", l.microseconds, mostLimitsMicroseconds)
	r.atMost("limiter and quota, allocations", l.allocations, mostLimitsAllocations)
	t.add("limiter and quota of a call, nobody else waiting: time", fmt.Sprintf("%.2f µs", l.microseconds), fmt.Sprintf("≤ %d µs", mostLimitsMicroseconds))
	t.add("the same: allocations", whole(l.allocations), fmt.Sprintf("≤ %d", mostLimitsAllocations))
	return nil
}

func (r *report) size(t *table) error {
	s, err := measureSizes()
	if err != nil {
		return err
	}
	r.atMost("size", s.ratio(), mostSize)
	t.add("a stripped program that makes one call, over one with net/http and encoding/json alone",
		fmt.Sprintf("%.2f (%s of %s bytes)", s.ratio(), thousands(s.client), thousands(s.hand)), bound(mostSize))
	return nil
}

func (r *report) control(name string, c comparison) {
	if !c.counts() {
		r.Disturbed = append(r.Disturbed, fmt.Sprintf("%s %s", name, c.ratio(c.control, c.floor)))
	}
}

func (r *report) atMost(what string, got, most float64) {
	if most > 0 && got > most {
		r.Missed = append(r.Missed, fmt.Sprintf("%s: %.3f, at most %.2f", what, got, most))
	}
}

func (r *report) atLeast(what string, got, least float64) {
	if got < least {
		r.Missed = append(r.Missed, fmt.Sprintf("%s: %.3f, at least %.2f", what, got, least))
	}
}

// write puts the tables into the document, and draws the chart.
func (r *report) write() error {
	text, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	if text, err = fill(text, r.Tables); err != nil {
		return err
	}
	if err := os.WriteFile(document, text, 0o644); err != nil {
		return err
	}
	return drawBars(r.bars, chartFile)
}

// fill puts tables between their markers.
func fill(text []byte, tables map[string]string) ([]byte, error) {
	for name, table := range tables {
		marked := regexp.MustCompile(`(?s)(<!-- measured:begin ` + name + ` -->\n).*?(<!-- measured:end -->)`)
		if len(marked.FindAll(text, 2)) != 1 {
			return nil, fmt.Errorf("%s must have the markers of %q once", document, name)
		}
		text = marked.ReplaceAllFunc(text, func(old []byte) []byte {
			parts := marked.FindSubmatch(old)
			return bytes.Join([][]byte{parts[1], []byte(table), parts[2]}, nil)
		})
	}
	return text, nil
}

// table is a table of Markdown.
type table struct{ text strings.Builder }

func newTable(columns ...string) *table {
	t := new(table)
	t.add(columns...)
	t.text.WriteString(strings.Repeat("|---", len(columns)) + "|\n")
	return t
}

func (t *table) add(cells ...string) { t.text.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
func (t *table) String() string      { return t.text.String() }

func (i interval) String() string { return fmt.Sprintf("%.2f [%.2f–%.2f]", i.median, i.low, i.high) }

func bound(most float64) string {
	if most == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", most)
}

func duration(microseconds float64) string {
	if microseconds >= 1000 {
		return fmt.Sprintf("%.1f ms", microseconds/1000)
	}
	return fmt.Sprintf("%.1f µs", microseconds)
}

func share(of, all float64) string {
	return fmt.Sprintf("%.2f (%s of %s)", of/all, whole(of), whole(all))
}

func whole(f float64) string { return thousands(int64(math.Round(f))) }

// thousands writes an integer with commas.
func thousands(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// machine says on what, when and how it was measured.
func (r *report) machine(start time.Time, load string) string {
	text := fmt.Sprintf("Measured on %s with %s %s/%s, GOMAXPROCS %d (%s), by the time %s, in %.0f minutes", start.UTC().Format(time.DateOnly), runtime.Version(),
		runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0), processor(), r.clock.name, math.Ceil(time.Since(start).Minutes()))
	if load != "" {
		text += fmt.Sprintf(", load average %s at the start and %s at the end", load, loadAverage())
	}
	return text + ".\n"
}

// processor is the model of the processor, where the system tells.
func processor() string {
	file, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if name, value, _ := strings.Cut(lines.Text(), ":"); strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// loadAverage is that of the last minute, where the system tells.
func loadAverage() string {
	text, _ := os.ReadFile("/proc/loadavg")
	load, _, _ := strings.Cut(string(text), " ")
	return load
}

// versionOf is the version of a module in this program.
func versionOf(module string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, m := range info.Deps {
		if m.Path == module {
			return m.Version
		}
	}
	return ""
}
