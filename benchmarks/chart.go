package main

import (
	"bytes"
	"image/color"
	"os"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// bar is one client in the chart: its time and its allocations over those by hand.
type bar struct {
	name              string
	time, allocations float64
}

var (
	blue = color.RGBA{G: 0x72, B: 0xb2, A: 0xff}
	grey = color.Gray{0xb4}
	dark = color.Gray{0x60}
)

// drawBars draws the time beside the allocations, the smallest time on top.
func drawBars(bars []bar, path string) error {
	useFont()
	bars = slices.SortedFunc(slices.Values(bars), func(a, b bar) int {
		if a.time > b.time {
			return -1
		}
		return 1
	})
	time, err := barChart("Time of a GET, by hand = 1", bars, func(b bar) float64 { return b.time })
	if err != nil {
		return err
	}
	allocations, err := barChart("Allocations, by hand = 1", bars, func(b bar) float64 { return b.allocations })
	if err != nil {
		return err
	}
	return saveCharts([][]*plot.Plot{{time, allocations}}, vg.Points(760), vg.Points(360), path)
}

func barChart(title string, bars []bar, value func(bar) float64) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = title
	p.Title.TextStyle.Font.Size = vg.Points(13)
	p.Title.Padding = vg.Points(4)
	p.X.Min, p.X.Padding, p.Y.Padding = 0, 0, 0
	var names []string
	labels := plotter.XYLabels{}
	for i, b := range bars {
		fill := color.Color(grey)
		switch b.name {
		case "drift":
			fill = blue
		case "by hand":
			fill = dark
		}
		chart, err := plotter.NewBarChart(plotter.Values{value(b)}, vg.Points(16))
		if err != nil {
			return nil, err
		}
		chart.Horizontal, chart.XMin, chart.Color, chart.LineStyle.Width = true, float64(i), fill, 0
		p.Add(chart)
		names = append(names, b.name)
		labels.XYs = append(labels.XYs, plotter.XY{X: value(b), Y: float64(i)})
		labels.Labels = append(labels.Labels, strconv.FormatFloat(value(b), 'f', 2, 64))
		p.X.Max = max(p.X.Max, value(b)*1.15)
	}
	figures, err := plotter.NewLabels(labels)
	if err != nil {
		return nil, err
	}
	for i := range figures.TextStyle {
		figures.TextStyle[i].Font.Size = vg.Points(11)
		figures.TextStyle[i].YAlign = draw.YCenter
	}
	figures.Offset.X = vg.Points(3)
	p.Add(figures)
	p.NominalY(names...)
	p.X.Tick.Marker = halves(p.X.Max)
	p.Y.Tick.Label.Font.Size, p.X.Tick.Label.Font.Size = vg.Points(11), vg.Points(11)
	return p, nil
}

// saveCharts writes charts in rows and columns into a file. Not everybody has the font with which the text was measured.
func saveCharts(charts [][]*plot.Plot, width, height vg.Length, path string) error {
	canvas := vgsvg.NewWith(vgsvg.UseWH(width, height))
	tiles := draw.Tiles{Rows: len(charts), Cols: len(charts[0]), PadX: vg.Points(14), PadY: vg.Points(14),
		PadTop: vg.Points(8), PadBottom: vg.Points(8), PadLeft: vg.Points(8), PadRight: vg.Points(16)}
	for i, row := range plot.Align(charts, tiles, draw.New(canvas)) {
		for j, area := range row {
			charts[i][j].Draw(area)
		}
	}
	var svg bytes.Buffer
	if _, err := canvas.WriteTo(&svg); err != nil {
		return err
	}
	text := bytes.ReplaceAll(svg.Bytes(), []byte("font-family:Liberation Sans;"), []byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif;"))
	return os.WriteFile(path, text, 0o644)
}

// halves puts a tick at the multiples of a half.
func halves(most float64) (ticks plot.ConstantTicks) {
	for v := 0.0; v <= most; v += 0.5 {
		ticks = append(ticks, plot.Tick{Value: v, Label: strconv.FormatFloat(v, 'f', 1, 64)})
	}
	return ticks
}

// useFont sets the font in which charts are measured and drawn.
func useFont() {
	plot.DefaultFont = font.Font{Typeface: "Liberation", Variant: "Sans"}
	plotter.DefaultFont = plot.DefaultFont
}
