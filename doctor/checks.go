package doctor

import (
	"cmp"
	"context"
	"strings"

	"github.com/s3mesh/s3mesh"
)

// The checks, by the names that the JSON form has. Checksums and permissions are called what S3 calls them.
const (
	checkReach         = "reachable"
	checkTLS           = "tls"
	checkCredentials   = "credentials"
	checkRegion        = "region"
	checkBucket        = "bucket"
	checkClock         = "clock"
	checkClocks        = "clocks"
	checkVersioning    = "versioning"
	checkPutNone       = "put_if_none_match"
	checkPutMatch      = "put_if_match"
	checkCompleteNone  = "complete_if_none_match"
	checkCompleteMatch = "complete_if_match"
	checkDelete        = "delete_if_match"
	checkTags          = "tags"
	checkRange         = "range"
	checkParts         = "parts"
	checkGrain         = "list_times"
	checkOrder         = "list_order"
	checkReadOnly      = "read_only"
	checkNotifications = "notifications"
	checkClean         = "clean"

	actionPut     = "s3:PutObject"
	actionPutTags = "s3:PutObjectTagging"
)

// conditional lists the conditional writes.
func conditional() []struct{ check, operation, header string } {
	const none, match = "If-None-Match", "If-Match"
	return []struct{ check, operation, header string }{
		{checkPutNone, "PutObject", none},
		{checkPutMatch, "PutObject", match},
		{checkCompleteNone, "CompleteMultipartUpload", none},
		{checkCompleteMatch, "CompleteMultipartUpload", match},
		{checkDelete, "DeleteObject", match},
	}
}

// permission is one action of IAM.
type permission struct {
	action  string
	reads   bool // it is needed at a site that is only read from, too
	without Severity
	// consequence is what follows where it is denied.
	consequence string
}

// permissions lists those that s3mesh uses, the one to write first, as others are tried with what it writes.
func permissions() []permission {
	const blind = "which conditions the store honours cannot be found out: every write is preceded and followed by a look"
	return []permission{
		{actionPut, false, Fault, "nothing can be replicated to this site"},
		{"s3:GetObject", true, Fault, "nothing can be replicated from this site, and nothing compared"},
		{"s3:GetObjectVersion", true, Fault, "what a version held cannot be read: replication from this site fails"},
		{"s3:ListBucket", true, Fault, "a missing object cannot be told from a hidden one, and nothing can be compared"},
		{"s3:ListBucketVersions", true, Fault, "which of two writes came first cannot be told exactly, and deletes not at all"},
		{"s3:GetBucketVersioning", true, Fault, "whether the bucket keeps versions cannot be told"},
		{"s3:GetObjectTagging", true, Gap, "verify cannot compare tags"},
		{"s3:AbortMultipartUpload", false, Warning, "uploads that fail stay, and are paid for"},
		{"s3:ListBucketMultipartUploads", false, Gap, "uploads that a killed doctor left are not found: a lifecycle rule removes them"},
		{"s3:DeleteObject", false, Warning, blind},
		{"s3:DeleteObjectVersion", false, Warning, blind + ", and scratch objects stay under .s3mesh/probe/"},
	}
}

// oddKey is a key that not every store holds.
type oddKey struct {
	check       string
	conditional bool // the test is a write under If-Match
	fate        func(context.Context, Scratch) (string, error)
}

// oddKeys lists what is tried.
func oddKeys() []oddKey {
	const longest = 256 // one more than a file name may have
	named := func(check, name string) oddKey {
		return oddKey{check: check, fate: func(ctx context.Context, s Scratch) (string, error) { return s.Key(ctx, name) }}
	}
	return []oddKey{
		named("key_space", "a b"),
		named("key_plus", "a+b"),
		named("key_percent", "a%20b%"),
		named("key_unicode", "ünïcode-日本"),
		named("key_emoji", "\U0001f600"),
		{check: "key_leading_slash", conditional: true,
			fate: func(ctx context.Context, s Scratch) (string, error) { return s.LeadingSlash(ctx) }},
		named("key_double_slash", "a//b"),
		named("key_dot", "a/./b"),
		named("key_dot_dot", "a/../b"),
		named("key_trailing_slash", "a/"),
		{check: "key_beside", fate: func(ctx context.Context, s Scratch) (string, error) { return s.Beside(ctx) }},
		named("key_segment_256", strings.Repeat("s", longest)),
		{check: "key_1024", fate: func(ctx context.Context, s Scratch) (string, error) { return s.LongestKey(ctx) }},
	}
}

// facts is what a judgement depends on beside the answer.
type facts struct {
	cfg     Config
	site    Site
	can     s3mesh.Capabilities
	product string
	probed  bool // conditions could be tried
}

// meaning is what an answer means.
type meaning struct {
	severity    Severity
	consequence string
	remedy      func(facts) string                   // nil: there is nothing to mend
	worse       func(facts) (Severity, string, bool) // takes the place of severity and consequence, where it says so
}

// judge tells what an answer means. What no row tells is good where it is yes, and otherwise to be looked at.
func judge(known facts, result Result) Result {
	row, ok := meanings()[result.Check][result.Answer]
	if !ok {
		row = commonMeaning(result)
	}
	result.Severity, result.Consequence = row.severity, row.consequence
	if row.worse != nil {
		if severity, consequence, so := row.worse(known); so {
			result.Severity, result.Consequence = severity, cmp.Or(consequence, result.Consequence)
		}
	}
	if row.remedy != nil && result.Severity.rank() > Good.rank() {
		result.Remedy = row.remedy(known)
	}
	return result
}

// commonMeaning is that of the answers that many checks have.
func commonMeaning(result Result) meaning {
	for _, p := range permissions() {
		if p.action == result.Check && result.Answer == denied {
			return meaning{severity: p.without, consequence: p.consequence, remedy: grant, worse: needsDelete(p.action)}
		}
	}
	switch result.Answer {
	case yes, "kept", "local":
		return meaning{severity: Good}
	case skip, unneeded, denied: // what was denied shows with the permissions
		return meaning{severity: Skipped}
	case unknown:
		return meaning{severity: Warning, consequence: "could not be found out: nothing is taken for granted", remedy: tryAgain}
	}
	if strings.HasPrefix(result.Check, "key_") {
		return keyMeaning(result.Answer)
	}
	if result.Check == checkReach {
		return meaning{severity: Away, consequence: waits, remedy: checkNetwork}
	}
	return meaning{severity: Gap}
}

// keyMeaning is that of what became of an odd key.
func keyMeaning(fate string) meaning {
	switch fate {
	case "refused":
		return meaning{severity: Gap, consequence: "an object with such a key becomes a dead letter (unstorable) on links to here"}
	case "renamed":
		return meaning{severity: Gap, consequence: "such a key is neither read nor written here, as it would be another one: " +
			"an object that has it becomes a dead letter (unstorable)"}
	case "fails":
		return meaning{severity: Gap, consequence: "the store answers such a key with an internal error: its tasks are tried again, " +
			"and then become dead letters (unreachable)"}
	case "hidden":
		return meaning{severity: Gap, consequence: "such a key is replicated from its notification, but reconcile cannot see it here"}
	default:
		return meaning{severity: Gap}
	}
}

// needsDelete makes a permission to delete one that cannot be done without, where deletes are propagated.
func needsDelete(action string) func(facts) (Severity, string, bool) {
	return func(known facts) (Severity, string, bool) {
		return Fault, "deletes: propagate does not work here", known.cfg.PropagateDeletes && strings.HasPrefix(action, "s3:Delete")
	}
}
