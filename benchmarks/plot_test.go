package main

import (
	"flag"
	"image/color"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/driftsdk/drift"
)

var write = flag.Bool("write", false, "draw the plots in docs")

// series is what one limiter let through.
type series struct {
	name     string
	colour   color.Color
	arrivals []arrival
}

func TestLimitsPlot(t *testing.T) {
	alone, beside := bothLimiters(t, calls, 0), bothLimiters(t, callsBesideOthers, othersPerMinute)
	ours := alone[1].arrivals
	assert.Zero(t, refusals(ours))
	assert.Equal(t, drift.DefaultRateLimit, busiest(ours))
	assert.LessOrEqual(t, refusals(beside[1].arrivals), callsBesideOthers/10)
	if *write {
		require.NoError(t, drawLimits(alone, beside, "../docs/limits.svg"))
	}
}

// callsBesideOthers are made while others make othersPerMinute.
const callsBesideOthers, othersPerMinute = 600, 60

func bothLimiters(t *testing.T, calls, others int) []series {
	both := []series{
		{"token bucket (x/time/rate, burst 100)", color.RGBA{R: 0xd5, G: 0x5e, A: 0xff}, simulate(t, newBucket, calls, others)},
		{"this package", color.RGBA{G: 0x72, B: 0xb2, A: 0xff}, simulate(t, newWindow, calls, others)},
	}
	for _, s := range both {
		t.Logf("%s beside %d others a minute: %d calls in %.1f s, 429s: %d, most in a minute: %d", s.name, others,
			calls, s.arrivals[len(s.arrivals)-1].at.Seconds(), refusals(s.arrivals), busiest(s.arrivals))
	}
	return both
}

// drawLimits draws five charts, one below the other.
func drawLimits(alone, beside []series, path string) error {
	useFont()
	limit := limitLine()
	charts := []*plot.Plot{
		chart("Alone: calls accepted", 660, 1200, 200, alone, accepted),
		chart("Alone: calls refused (429)", 660, 125, 25, alone, refused),
		chart("Alone: calls that came to the server in the last 60 seconds, refused ones included", 660, 200, 50, alone, inLastMinute, limit),
		chart("While others make 60 calls a minute: calls accepted", 960, 800, 200, beside, accepted),
		chart("While others make 60 calls a minute: calls refused (429)", 960, 1000, 250, beside, refused),
	}
	charts[0].Legend.Top, charts[0].Legend.Left = true, true
	for _, s := range alone {
		charts[0].Legend.Add(s.name, line(s, nil))
	}
	charts[2].Legend.Top, charts[2].Legend.XOffs = true, -vg.Points(12)
	charts[2].Legend.Add("limit: 100", limit)
	rows := make([][]*plot.Plot, len(charts))
	for i, c := range charts {
		c.X.Label.Text, c.Y.Label.Text = "seconds", "calls"
		rows[i] = []*plot.Plot{c}
	}
	return saveCharts(rows, vg.Points(760), vg.Points(1150), path)
}

// chart shows one figure of every series over time, on top of what lies under.
func chart(title string, end, top, step float64, all []series, points func([]arrival) plotter.XYs, under ...plot.Plotter) *plot.Plot {
	p := plot.New()
	p.Title.Text = title
	p.Title.TextStyle.Font.Size = vg.Points(13)
	p.Title.Padding = vg.Points(4)
	p.X.Min, p.X.Max, p.X.Tick.Marker = 0, end, every(60, end)
	p.Y.Min, p.Y.Max, p.Y.Tick.Marker = 0, top, every(step, top)
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Tick.Label.Font.Size = vg.Points(11)
		axis.Label.TextStyle.Font.Size = vg.Points(12)
		axis.Padding = 0
	}
	p.Legend.TextStyle.Font.Size = vg.Points(12)
	p.Legend.Padding = vg.Points(3)
	p.Legend.XOffs, p.Legend.YOffs = vg.Points(8), -vg.Points(4)
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = color.Gray{0xe4}, color.Gray{0xe4}
	p.Add(grid)
	p.Add(under...)
	for _, s := range all {
		p.Add(line(s, points(s.arrivals)))
	}
	return p
}

func line(s series, points plotter.XYs) *plotter.Line {
	return &plotter.Line{XYs: points, StepStyle: plotter.PostStep, LineStyle: draw.LineStyle{Color: s.colour, Width: vg.Points(1.8)}}
}

func limitLine() *plotter.Line {
	return &plotter.Line{
		XYs:       plotter.XYs{{X: 0, Y: drift.DefaultRateLimit}, {X: 660, Y: drift.DefaultRateLimit}},
		LineStyle: draw.LineStyle{Color: color.Black, Width: vg.Points(1), Dashes: []vg.Length{vg.Points(5), vg.Points(4)}},
	}
}

// every puts a tick at the multiples of step.
func every(step, most float64) (ticks plot.ConstantTicks) {
	for v := 0.0; v <= most; v += step {
		ticks = append(ticks, plot.Tick{Value: v, Label: strconv.Itoa(int(v))})
	}
	return ticks
}

func accepted(arrivals []arrival) plotter.XYs {
	return eachSecond(arrivals, func(from, to time.Duration) int { return countUntil(to, arrivals, false) })
}

func refused(arrivals []arrival) plotter.XYs {
	return eachSecond(arrivals, func(from, to time.Duration) int { return countUntil(to, arrivals, true) })
}

// countUntil is how many calls were refused, or were not, until then.
func countUntil(to time.Duration, arrivals []arrival, refused bool) (n int) {
	for _, a := range arrivals {
		if a.at < to && a.refused == refused {
			n++
		}
	}
	return n
}

// inLastMinute takes the largest number within each second. It is reached when a call arrives.
func inLastMinute(arrivals []arrival) plotter.XYs {
	return eachSecond(arrivals, func(from, to time.Duration) int {
		most := inMinuteTo(from, arrivals)
		for _, a := range arrivals {
			if a.at >= from && a.at < to {
				most = max(most, inMinuteTo(a.at, arrivals))
			}
		}
		return most
	})
}

// eachSecond has a point wherever the value changes, and one at the end.
func eachSecond(arrivals []arrival, value func(from, to time.Duration) int) (points plotter.XYs) {
	last := -1
	end := arrivals[len(arrivals)-1].at
	for from := time.Duration(0); from <= end; from += time.Second {
		if n := value(from, from+time.Second); n != last || from+time.Second > end {
			points = append(points, plotter.XY{X: from.Seconds(), Y: float64(n)})
			last = n
		}
	}
	return points
}
