package doctor

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// minColumn is the narrowest that a site's column becomes.
const minColumn = 9

// row is a line of the table.
type row struct{ check, label string }

// groups is the table: its parts, and their lines.
func groups() []struct {
	title string
	rows  []row
} {
	var allowed []row
	for _, p := range permissions() {
		allowed = append(allowed, row{p.action, strings.TrimPrefix(p.action, "s3:")})
	}
	return []struct {
		title string
		rows  []row
	}{
		{"SITE", []row{{checkReach, "reachable"}, {checkTLS, "TLS, certificate"}, {checkCredentials, "credentials"},
			{checkRegion, "region"}, {checkBucket, "bucket"}, {checkClock, "clock"}}},
		{"PERMISSIONS", append(allowed, row{actionPutTags, "PutObjectTagging"}, row{checkReadOnly, "refuses writes"})},
		{"EVENTS", []row{{checkNotifications, "notifications"}}},
		{"WRITES", []row{{checkVersioning, "versions"}, {checkPutNone, "PUT If-None-Match"}, {checkPutMatch, "PUT If-Match"},
			{checkCompleteNone, "Complete If-None-Match"}, {checkCompleteMatch, "Complete If-Match"},
			{checkDelete, "DELETE If-Match"}}},
		{"CONTENTS", []row{{checkTags, "tags"}, {"CRC32C", "CRC32C"}, {"CRC64NVME", "CRC64NVME"}, {"SHA256", "SHA256"},
			{checkRange, "ranged GET"}, {checkParts, "parts told"}}},
		{"KEYS", []row{{"key_space", "space"}, {"key_plus", "+"}, {"key_percent", "%"}, {"key_unicode", "unicode"},
			{"key_emoji", "emoji"}, {"key_leading_slash", "leading /"}, {"key_double_slash", "//"}, {"key_dot", "."},
			{"key_dot_dot", ".."}, {"key_trailing_slash", "trailing /"}, {"key_beside", "a/b beside a"},
			{"key_segment_256", "256 bytes between /"}, {"key_1024", "1024 bytes"}}},
		{"LISTINGS", []row{{checkOrder, "byte order"}, {checkGrain, "unit of times"}}},
		{"", []row{{checkClean, "cleaned up"}}},
	}
}

// Text writes the report for people, in lines of up to width columns, but for commands.
func (r Report) Text(w io.Writer, width int) {
	fmt.Fprintf(w, "replica set %s: %d sites\n\n", r.Set, len(r.Sites))
	r.table(w, width)
	for _, result := range r.Between {
		if result.Severity == Good {
			fmt.Fprintf(w, "\nclocks: %s\n", result.Detail)
		}
	}
	for _, part := range []struct {
		severity Severity
		title    string
	}{{Gap, "GAPS, and what s3mesh does about each"}, {Warning, "WARNINGS"}, {Away, "AWAY"}, {Fault, "FAULTS"}} {
		r.findings(w, width, part.severity, part.title)
	}
	fmt.Fprintf(w, "\n%s\n", r.summary())
}

// table writes sites × answers.
func (r Report) table(w io.Writer, width int) {
	const labels = 28
	columns := make([]int, len(r.Sites))
	most := max(minColumn, (width-labels)/max(1, len(r.Sites))-2)
	for i, site := range r.Sites {
		columns[i] = min(most, max(minColumn, utf8.RuneCountInString(site.Name), utf8.RuneCountInString(site.Product)))
		for _, result := range site.Results {
			columns[i] = min(most, max(columns[i], utf8.RuneCountInString(cell(result))))
		}
	}
	line := func(label string, value func(SiteReport) string) {
		cells := []string{pad(label, labels)}
		for i, site := range r.Sites {
			cells = append(cells, pad(value(site), columns[i]))
		}
		fmt.Fprintln(w, strings.TrimRight(strings.Join(cells, "  "), " "))
	}
	line("", func(s SiteReport) string { return s.Name })
	line("store", func(s SiteReport) string { return cmp.Or(s.Product, skip) })
	line("role", role)
	for _, group := range groups() {
		if group.title != "" {
			fmt.Fprintln(w, group.title)
		}
		for _, row := range group.rows {
			line("  "+row.label, func(s SiteReport) string {
				result, asked := s.Result(row.check)
				if !asked {
					return skip
				}
				return cell(result)
			})
		}
	}
}

func role(s SiteReport) string {
	if s.Served {
		return "written"
	}
	return "read only"
}

// cell is a result as the table shows it. What is more than a gap stands out.
func cell(r Result) string {
	text := cmp.Or(r.Shown, r.Answer)
	switch r.Severity {
	case Fault, Away:
		return text + " !!"
	case Warning:
		return text + " !"
	default:
		return text
	}
}

// pad makes text n columns wide, cutting it if need be.
func pad(text string, n int) string {
	length := utf8.RuneCountInString(text)
	if length > n {
		return string([]rune(text)[:n-1]) + "…"
	}
	return text + strings.Repeat(" ", n-length)
}

// finding is what several sites may have in common.
type finding struct {
	sites  []string
	labels []string
	Result
}

// findings writes what has a severity, the same consequence of the same answer once, and a long remedy once.
func (r Report) findings(w io.Writer, width int, severity Severity, title string) {
	told := map[string]bool{}
	found := r.gather(severity)
	if len(found) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", title)
	for _, f := range found {
		head := strings.Join(f.labels, ", ") + ": " + f.Answer
		if len(f.sites) > 0 {
			head = strings.Join(f.sites, ", ") + ": " + head
		}
		wrap(w, width, "- ", "  ", head)
		wrap(w, width, "  ", "  ", f.Consequence)
		if severity != Gap {
			wrap(w, width, "  ", "  ", f.Detail)
		}
		switch {
		case f.Remedy == "":
		case told[f.Remedy] && strings.Contains(f.Remedy, "\n"):
			fmt.Fprintln(w, "  -> the same as above")
		default:
			told[f.Remedy] = true
			fmt.Fprintf(w, "  -> %s\n", strings.ReplaceAll(f.Remedy, "\n", "\n     "))
		}
	}
}

// gather collects the results of a severity: those of one site that say the same about several checks, and then the sites
// that say the same.
func (r Report) gather(severity Severity) []finding {
	var found []finding
	for _, site := range r.Sites {
		for _, f := range perSite(site.Results, severity) {
			same := slices.IndexFunc(found, func(g finding) bool {
				return slices.Equal(f.labels, g.labels) && f.says(g.Result, severity)
			})
			if same < 0 {
				found = append(found, f)
				same = len(found) - 1
			}
			found[same].sites = append(found[same].sites, site.Name)
		}
	}
	return append(found, perSite(r.Between, severity)...)
}

func perSite(results []Result, severity Severity) []finding {
	var found []finding
	for _, result := range results {
		if result.Severity != severity {
			continue
		}
		same := slices.IndexFunc(found, func(f finding) bool { return f.Consequence != "" && f.says(result, severity) })
		if same < 0 {
			found = append(found, finding{Result: result})
			same = len(found) - 1
		}
		found[same].labels = append(found[same].labels, label(result.Check))
	}
	return found
}

// says reports whether another result is told in the same words. What the store said is told of more than gaps.
func (f finding) says(r Result, severity Severity) bool {
	return f.Answer == r.Answer && f.Consequence == r.Consequence && f.Remedy == r.Remedy &&
		(severity == Gap || f.Detail == r.Detail)
}

// label returns what a check is called in text.
func label(check string) string {
	for _, group := range groups() {
		for _, row := range group.rows {
			if row.check == check {
				if group.title == "KEYS" {
					return "key with " + row.label
				}
				return row.label
			}
		}
	}
	return check
}

// wrap writes text in lines of up to width columns.
func wrap(w io.Writer, width int, first, others, text string) {
	line := first
	for word := range strings.FieldsSeq(text) {
		if len(line) > len(first) && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			fmt.Fprintln(w, line)
			line = others
		}
		if line != first && line != others {
			line += " "
		}
		line += word
	}
	if line != first {
		fmt.Fprintln(w, line)
	}
}

// summary counts.
func (r Report) summary() string {
	counts := map[Severity]int{}
	for _, s := range []Severity{Gap, Warning, Away, Fault} {
		counts[s] = len(r.gather(s))
	}
	return fmt.Sprintf("%d faults, %d sites away, %d warnings, %d gaps that s3mesh does without",
		counts[Fault], counts[Away], counts[Warning], counts[Gap])
}
