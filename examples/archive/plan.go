package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/examples/archive/fetch"
)

// planReport is the result of plan.
type planReport struct {
	*fetch.Estimate
	PerMinute int                `json:"calls_a_minute"`
	Hours     float64            `json:"hours"`
	Months    map[string]float64 `json:"months"` // by plan
}

// plan is the command plan.
func plan(ctx context.Context, c *invocation) error {
	progress := newProgress(c.stderr)
	defer progress.close()
	l := c.limits(progress)
	if err := c.parse(); err != nil {
		return err
	}
	a, err := l.open(ctx, c.dir)
	if err != nil {
		return err
	}
	var estimate *fetch.Estimate
	err = a.run(ctx, "plan", func() (err error) {
		estimate, err = a.fetcher.Plan(ctx)
		return err
	})
	progress.close()
	if estimate != nil && err == nil {
		report := newPlanReport(estimate, l)
		err = c.print(report, func(w io.Writer) { printPlan(w, report, c.dir) })
		if err == nil && len(estimate.Lacking)+len(estimate.Missing) > 0 {
			err = errListed
		}
	}
	return errors.Join(stopped(err, nil), a.Close())
}

func newPlanReport(e *fetch.Estimate, l *limits) *planReport {
	r := &planReport{Estimate: e, PerMinute: bulkRate(l.rate), Months: map[string]float64{}}
	r.Hours = float64(e.Total) / float64(r.PerMinute) / 60
	plans := map[string]drift.Plan{
		"starter": drift.PlanStarter, "professional": drift.PlanProfessional, "enterprise": drift.PlanEnterprise,
	}
	if l.plan != "" {
		chosen, _ := parsePlan(l.plan) // it was parsed before
		plans = map[string]drift.Plan{l.plan: chosen}
	}
	for name, calls := range plans {
		r.Months[name] = float64(e.Total) / float64(max(int(calls)-l.keepFree, 1))
	}
	return r
}

// bulkRate is how many calls of a minute a command makes: the rest is for other programs.
func bulkRate(perMinute int) int { return max(perMinute-min(perMinute/10, 10), 1) }

func printPlan(w io.Writer, r *planReport, dir string) {
	fmt.Fprintf(w, "%s, %s of them not archived yet.\n", counted(r.Conversations, "conversation"), thousands(r.Due))
	if r.Sampled > 0 {
		fmt.Fprintf(w, "A sample of %s was read and is kept in %s.\n", thousands(r.Sampled), dir)
	}
	fmt.Fprintf(w, "archive sync takes about %s:\n", counted(r.Total, "call"))
	for _, kind := range sortedKeys(r.Calls) {
		fmt.Fprintf(w, "  %s: %s\n", kind, thousands(r.Calls[kind]))
	}
	fmt.Fprintf(w, "At %d calls a minute: %s.\n", r.PerMinute, took(r.Hours))
	for _, name := range []string{"starter", "professional", "enterprise"} {
		if months, ok := r.Months[name]; ok {
			fmt.Fprintf(w, "With the plan %s: the calls of %.2f months.\n", name, months)
			delete(r.Months, name)
		}
	}
	for name, months := range r.Months {
		fmt.Fprintf(w, "With %s calls a month: the calls of %.2f months.\n", name, months)
	}
	for _, scope := range r.Lacking {
		fmt.Fprintf(w, "The token lacks the scope %s.\n", scope)
	}
	for _, missing := range r.Missing {
		fmt.Fprintln(w, missing)
	}
}

// took writes hours as a reader wants them.
func took(hours float64) string {
	if hours < 1 {
		return counted(int(math.Ceil(hours*60)), "minute")
	}
	return fmt.Sprintf("%.1f hours", hours)
}
