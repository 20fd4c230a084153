package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	quick := flag.Bool("quick", false, "measure for a shorter time")
	busy := flag.Bool("busy", false, "compare the time on the processor instead of that on the wall: for a machine with other work")
	only := flag.String("only", "", "a regular expression: measure only the rows with such a name")
	write := flag.Bool("write", false, "put what was measured into "+document)
	asJSON := flag.Bool("json", false, "measure only what depends on the JSON engine of this build, and print it as JSON")
	flag.Parse()
	pattern, err := regexp.Compile("(?i)" + *only)
	if err != nil {
		return err
	}
	if *write && (*quick || *only != "") {
		return errors.New("-write is for all of it: without -quick and -only")
	}
	r := report{effort: effort{*quick, 5, onTheWall}, wanted: pattern.MatchString, out: os.Stdout,
		findings: findings{Tables: map[string]string{}},
		args:     []string{fmt.Sprintf("-quick=%t", *quick), fmt.Sprintf("-busy=%t", *busy), "-only=" + *only}}
	if *quick {
		r.tries = 1
	}
	if *busy {
		r.clock = onProcessors
	}
	if *asJSON {
		return r.printJSON()
	}
	if err := r.everything(); err != nil {
		return err
	}
	if len(r.Disturbed) > 0 {
		return fmt.Errorf("the run does not count, because the floor did not match itself: %s",
			strings.Join(r.Disturbed, ", "))
	}
	if *write {
		if err := r.write(); err != nil {
			return err
		}
	}
	if len(r.Missed) > 0 {
		return fmt.Errorf("out of bounds:\n  %s", strings.Join(slices.Compact(r.Missed), "\n  "))
	}
	return nil
}
