package doctor

import "github.com/s3mesh/s3mesh"

// Severity is how bad an answer is.
type Severity string

// The severities, the better first.
const (
	Skipped Severity = "skipped" // not asked, or not needed
	Good    Severity = "good"
	Gap     Severity = "gap"     // the store lacks something, and s3mesh does without
	Warning Severity = "warning" // something that should be looked at
	Away    Severity = "away"    // the site cannot be reached
	Fault   Severity = "fault"   // something that has to be mended
)

func (s Severity) rank() int {
	for i, t := range []Severity{Skipped, Good, Gap, Warning, Away, Fault} {
		if s == t {
			return i
		}
	}
	return 0
}

// Result is the answer to one check at one site, and what follows from it.
type Result struct {
	Check    string   `json:"check"`
	Answer   string   `json:"answer"`
	Severity Severity `json:"severity"`
	// Shown is the answer as the table shows it, where that is not the answer itself.
	Shown string `json:"shown,omitzero"`
	// Detail is what the store said.
	Detail string `json:"detail,omitzero"`
	// Consequence is what s3mesh does about it.
	Consequence string `json:"consequence,omitzero"`
	// Remedy is the command or policy that mends it. It holds no secret.
	Remedy string `json:"remedy,omitzero"`
}

// SiteReport is what was found at one site.
type SiteReport struct {
	Name         string              `json:"name"`
	Bucket       string              `json:"bucket"`
	Endpoint     string              `json:"endpoint,omitzero"`
	Product      string              `json:"product,omitzero"`
	Served       bool                `json:"served"`
	Capabilities s3mesh.Capabilities `json:"capabilities"`
	Results      []Result            `json:"results"`
}

// Result returns the result of a check.
func (s SiteReport) Result(check string) (Result, bool) {
	for _, r := range s.Results {
		if r.Check == check {
			return r, true
		}
	}
	return Result{}, false
}

// Report is what was found.
type Report struct {
	Set   string       `json:"set"`
	Sites []SiteReport `json:"sites"`
	// Between is what was found by comparing the sites.
	Between []Result `json:"between,omitempty"`
}

// Worst returns the worst severity of all results. A fault is worse than a site that is away, as waiting does not mend it.
func (r Report) Worst() Severity {
	worst := Good
	note := func(results []Result) {
		for _, result := range results {
			if result.Severity.rank() > worst.rank() {
				worst = result.Severity
			}
		}
	}
	for _, site := range r.Sites {
		note(site.Results)
	}
	note(r.Between)
	return worst
}
