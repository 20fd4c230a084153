package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// The engines under encoding/json: that of Go 1.26, and the faster one that Go 1.27 builds by default.
const (
	jsonV1 = iota
	jsonV2
)

// tableOf is the name in the document of a table that is measured with each engine.
func tableOf(section string, engine int) string { return fmt.Sprintf("%s jsonv%d", section, engine+1) }

// measureOther runs this command again, built with the other engine, and adds what it finds to the report.
func (r *report) measureOther() error {
	command := exec.Command("go", append([]string{"run", ".", "-json"}, r.args...)...)
	command.Env = append(os.Environ(), "GOEXPERIMENT="+otherExperiment)
	command.Stderr = os.Stderr
	output, err := command.Output()
	if err != nil {
		return fmt.Errorf("with GOEXPERIMENT=%s: %w", otherExperiment, err)
	}
	var other findings
	if err := json.Unmarshal(output, &other); err != nil {
		return err
	}
	r.add(other, otherExperiment)
	return nil
}

// printJSON measures what depends on the engine of this build, and prints nothing but the findings.
func (r *report) printJSON() error {
	r.out = io.Discard
	if err := r.comparisons(); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r.findings)
}
