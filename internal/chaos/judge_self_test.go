package chaos

import (
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// op returns an operation from one to another tenth of a second after noon, as "region.writer.n".
func op(region, writer string, begin, end int, fate fate) *operation {
	at := func(tenths int) time.Time { return noon.Add(time.Duration(tenths) * 100 * time.Millisecond) }
	id := region + "." + writer
	return &operation{ID: id, Writer: id, Region: region, Begin: at(begin), End: at(end), Fate: fate, SHA256: "sum",
		ContentType: "text/plain"}
}

func (o *operation) deleting() *operation { o.Delete = true; return o }

func (o *operation) dying() *operation { o.Killed = true; return o }

func (o *operation) seeing(id string) *operation { o.Saw = id; return o }

func left(id string) content {
	return content{Present: true, SHA256: "sum", ContentType: "text/plain", Operation: id, Metadata: "map[op:" + id + "]"}
}

// TestJudge: the judge lets pass what may be, and nothing else.
func TestJudge(t *testing.T) {
	t.Parallel()
	wrong := left("a.1")
	wrong.SHA256 = "other"
	tests := []struct {
		name string
		ops  []*operation
		left content
		good bool
	}{
		{"the only one", []*operation{op("a", "1", 0, 1, acknowledged)}, left("a.1"), true},
		{"other bytes", []*operation{op("a", "1", 0, 1, acknowledged)}, wrong, false},
		{"of nobody", []*operation{op("a", "1", 0, 1, acknowledged)}, left("x"), false},
		{"vanished", []*operation{op("a", "1", 0, 1, acknowledged)}, content{}, false},
		{"never certain", []*operation{op("a", "1", 0, 1, unknown)}, content{}, true},
		{"unknown, and was", []*operation{op("a", "1", 0, 1, unknown)}, left("a.1"), true},
		{"refused, and was", []*operation{op("a", "1", 0, 1, refused)}, left("a.1"), false},
		{"deleted", []*operation{op("a", "1", 0, 1, acknowledged), op("a", "2", 2, 3, acknowledged).deleting()}, content{}, true},
		{"resurrected", []*operation{op("a", "1", 0, 1, acknowledged), op("a", "2", 2, 3, acknowledged).deleting()}, left("a.1"),
			false},
		{"nothing was deleted", []*operation{op("a", "1", 0, 1, acknowledged), op("b", "2", 2, 3, void).deleting()}, content{}, false},
		{"delete overwritten",
			[]*operation{op("a", "1", 0, 1, acknowledged).deleting(), op("a", "2", 2, 3, acknowledged)}, content{}, false},
		{"delete of another region, in time",
			[]*operation{op("a", "1", 0, 1, acknowledged).deleting(), op("b", "2", 2, 3, acknowledged)}, content{}, true},
		{"delete of another region, too old",
			[]*operation{op("a", "1", 0, 1, acknowledged).deleting(), op("b", "2", 60, 61, acknowledged)}, content{}, false},
		{"overwritten", []*operation{op("a", "1", 0, 1, acknowledged), op("a", "2", 2, 3, acknowledged)}, left("a.1"), false},
		{"at the same time", []*operation{op("a", "1", 0, 3, acknowledged), op("a", "2", 2, 4, acknowledged)}, left("a.1"), true},
		{"other region, in time", []*operation{op("a", "1", 0, 1, acknowledged), op("b", "2", 2, 3, acknowledged)}, left("a.1"), true},
		{"other region, too old",
			[]*operation{op("a", "1", 0, 1, acknowledged), op("b", "2", 60, 61, acknowledged)}, left("a.1"), false},
		{"by one that is unknown", []*operation{op("a", "1", 0, 1, acknowledged), op("a", "2", 2, 3, unknown)}, left("a.1"), true},
		{"died before it was overwritten",
			[]*operation{op("a", "1", 0, 1, unknown).dying(), op("a", "2", 2, 3, acknowledged)}, left("a.1"), false},
		{"may have gone on", []*operation{op("a", "1", 0, 1, unknown), op("a", "2", 2, 3, acknowledged)}, left("a.1"), true},
		{"seen elsewhere, and won", []*operation{op("a", "1", 0, 1, acknowledged), op("b", "2", 2, 3, acknowledged).seeing("a.1")},
			left("a.1"), false},
		{"seen elsewhere, and lost", []*operation{op("a", "1", 0, 1, acknowledged), op("b", "2", 2, 3, acknowledged).seeing("a.1")},
			left("b.2"), true},
		{"followed by the same writer",
			[]*operation{op("a", "1", 0, 1, unknown),
				{ID: "later", Writer: "a.1", Region: "a", Begin: noon.Add(time.Second), Fate: acknowledged}},
			left("a.1"), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if err := judge(tt.ops, tt.left); (err == nil) != tt.good {
				t.Errorf("good is %v, judged %v", tt.good, err)
			}
		})
	}
}
