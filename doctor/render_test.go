package doctor

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/s3mesh/s3mesh"
)

// TestMeanings checks that what has to be looked at says why, and how it is mended.
func TestMeanings(t *testing.T) {
	known := facts{site: Site{Name: "eu", Bucket: "photos", Endpoint: "https://s3.example.org", Region: "us-east-1", Served: true}}
	check := func(result Result) {
		t.Helper()
		result = judge(known, result)
		if result.Severity.rank() > Gap.rank() && result.Answer != "stopped" && (result.Consequence == "" || result.Remedy == "") {
			t.Errorf("%s %s is a %s without consequence or remedy: %+v", result.Check, result.Answer, result.Severity, result)
		}
		if result.Severity == Gap && result.Consequence == "" {
			t.Errorf("%s %s: what does s3mesh do about it?", result.Check, result.Answer)
		}
	}
	for name, answers := range meanings() {
		for answer := range answers {
			check(Result{Check: name, Answer: answer})
		}
	}
	for _, p := range permissions() {
		check(Result{Check: p.action, Answer: denied})
	}
	for _, k := range oddKeys() {
		for _, fate := range []string{"refused", "renamed", "hidden", "fails", unknown} {
			check(Result{Check: k.check, Answer: fate})
		}
	}
}

// TestJudge has what an answer means depend on the rest.
func TestJudge(t *testing.T) {
	versioned := s3mesh.Capabilities{Versioned: true}
	deletes := facts{cfg: Config{PropagateDeletes: true}}
	for name, c := range map[string]struct {
		known facts
		Result
		want Severity
	}{
		"racy, versioned":               {facts{can: versioned, probed: true}, Result{Check: checkPutNone, Answer: "racy"}, Gap},
		"racy, unversioned":             {facts{probed: true}, Result{Check: checkPutNone, Answer: "racy"}, Fault},
		"ignored, unversioned":          {facts{probed: true}, Result{Check: checkCompleteMatch, Answer: "ignored"}, Fault},
		"delete ignored, unversioned":   {facts{probed: true}, Result{Check: checkDelete, Answer: "ignored"}, Gap},
		"unversioned":                   {facts{}, Result{Check: checkVersioning, Answer: no}, Gap},
		"unversioned, deletes":          {deletes, Result{Check: checkVersioning, Answer: no}, Fault},
		"no DeleteObject":               {facts{}, Result{Check: "s3:DeleteObject", Answer: denied}, Warning},
		"no DeleteObject, deletes":      {deletes, Result{Check: "s3:DeleteObject", Answer: denied}, Fault},
		"an answer that nobody foresaw": {facts{}, Result{Check: checkReach, Answer: "TCP"}, Away},
	} {
		if got := judge(c.known, c.Result); got.Severity != c.want {
			t.Errorf("%s: %s, want %s", name, got.Severity, c.want)
		}
	}
}

// TestPolicies checks that each role's policy has the permissions that are tried for it.
func TestPolicies(t *testing.T) {
	for _, served := range []bool{true, false} {
		known := facts{site: Site{Name: "eu", Bucket: "photos", Region: "cn-north-1", Served: served}}
		var parsed policy
		if err := json.Unmarshal([]byte(policyFor(known)), &parsed); err != nil {
			t.Fatal(err)
		}
		text := policyFor(known)
		for _, p := range permissions() {
			if strings.Contains(text, `"`+p.action+`"`) != (served || p.reads) {
				t.Errorf("served %v: %s in %s", served, p.action, text)
			}
		}
		if !strings.Contains(text, "arn:aws-cn:s3:::photos") {
			t.Errorf("the resource is not the bucket: %s", text)
		}
	}
}

// TestWireUp checks the commands for each kind of store.
func TestWireUp(t *testing.T) {
	for name, c := range map[string]struct {
		known facts
		want  string
	}{
		"MinIO": {facts{product: minIO, site: Site{Name: "eu", Bucket: "b", Endpoint: "http://m:9000"}},
			"mc event add eu/b arn:minio:sqs::S3MESH_EU:webhook --event put"},
		"AWS": {facts{cfg: Config{PropagateDeletes: true}, site: Site{Name: "eu", Bucket: "b", Region: "eu-west-1"}},
			`aws s3api put-bucket-notification-configuration --bucket b --notification-configuration ` +
				`"{\"TopicConfigurations\":[{\"TopicArn\":\"arn:aws:sns:eu-west-1:$ACCOUNT:s3mesh-eu\",` +
				`\"Events\":[\"s3:ObjectCreated:*\",\"s3:ObjectRemoved:*\"]}]}" --region eu-west-1`},
		"another": {facts{product: "AmazonS3", site: Site{Name: "eu", Bucket: "b", Endpoint: "http://m:9000"}}, "poll: 1m"},
	} {
		if got := wireUp(c.known); !strings.Contains(got, c.want) {
			t.Errorf("%s: %s\nlacks %s", name, got, c.want)
		}
	}
}

// TestWireUpAcrossMachines checks that an intake which the store cannot reach is told.
func TestWireUpAcrossMachines(t *testing.T) {
	for endpoint, told := range map[string]bool{"http://store:9000": true, "http://127.0.0.1:9000": false} {
		known := facts{product: minIO, site: Site{Name: "eu", Bucket: "b", Endpoint: endpoint,
			Intake: "http://127.0.0.1:9481/v1/events/eu"}}
		if got := wireUp(known); strings.Contains(got, "this machine alone") != told || !strings.Contains(got, "mc event add") {
			t.Errorf("%s: %s", endpoint, got)
		}
	}
}

// TestText checks that five sites fit 100 columns, and that all that was found is told once.
func TestText(t *testing.T) {
	report := Report{Set: "photos", Between: []Result{{Check: checkClocks, Answer: yes, Severity: Good,
		Detail: "eu is 1s ahead of us"}}}
	for _, name := range []string{"us-east-1", "eu-west-1", "ap-southeast-2", "a-site-with-a-very-long-name", "local"} {
		e := &examination{cfg: Config{MaxClockSkew: time.Second}, site: Site{Name: name, Bucket: "photos", Served: true,
			Store: silent{}, Observer: &Observer{}}}
		for _, answer := range []Result{{Check: checkReach, Answer: yes}, {Check: checkTLS, Answer: yes, Shown: "1.3, 89d"},
			{Check: actionPut, Answer: denied}, {Check: checkVersioning, Answer: yes}, {Check: "key_emoji", Answer: "refused"},
			{Check: "key_dot", Answer: "refused"}} {
			e.show(answer.Check, answer.Answer, answer.Shown, nil)
		}
		if name == "local" {
			e.find(checkNotifications, "lost", errors.New("written, and no notification came within 10s"))
		}
		report.Sites = append(report.Sites, e.report())
	}
	var text strings.Builder
	report.Text(&text, 100)
	table, rest, _ := strings.Cut(text.String(), "GAPS")
	rest = strings.Join(strings.Fields(rest), " ")
	for line := range strings.Lines(table) {
		if utf8.RuneCountInString(line) > 101 {
			t.Errorf("%d columns: %s", utf8.RuneCountInString(line), line)
		}
	}
	for _, want := range []string{"denied !!", "lost !!", "1.3, 89d", "clocks: eu is 1s ahead of us"} {
		if !strings.Contains(table, want) {
			t.Errorf("the table lacks %q:\n%s", want, table)
		}
	}
	for _, once := range []string{"key with emoji, key with .: refused", "becomes a dead letter (unstorable)",
		"local: notifications: lost"} {
		if strings.Count(rest, once) != 1 {
			t.Errorf("%q is told %d times:\n%s", once, strings.Count(rest, once), rest)
		}
	}
	if report.Worst() != Fault {
		t.Errorf("the worst is %s", report.Worst())
	}
}

// silent is a store that is not asked.
type silent struct{ Store }

func (silent) Product() string { return "MinIO" }
