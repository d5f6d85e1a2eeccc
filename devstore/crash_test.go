package devstore_test

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3mesh/s3mesh/devstore"
)

// version is one version of a key as a client sees it.
type version struct {
	ID     string
	Marker bool
	Body   string
}

// versions returns the versions below a prefix by key, the latest first, and fails the test when one is listed twice, when
// not just one of a key is the latest, or when what is read is not what is listed.
func versions(tb testing.TB, c *s3.Client, prefix string) map[string][]version {
	tb.Helper()
	all, latest := map[string][]version{}, map[string]string{}
	add := func(key, id *string, isLatest *bool, marker bool) {
		if aws.ToBool(isLatest) {
			if latest[*key] != "" {
				tb.Errorf("%s: both %s and %s are the latest", *key, latest[*key], *id)
			}
			latest[*key] = *id
		}
		if slices.ContainsFunc(all[*key], func(v version) bool { return v.ID == *id }) {
			tb.Errorf("%s: %s is listed twice", *key, *id)
		}
		all[*key] = append(all[*key], version{ID: *id, Marker: marker})
	}
	pages := s3.NewListObjectVersionsPaginator(c, &s3.ListObjectVersionsInput{Bucket: aws.String(bucket), Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(tb.Context())
		if err != nil {
			tb.Fatal(err)
		}
		for _, v := range page.Versions {
			add(v.Key, v.VersionId, v.IsLatest, false)
		}
		for _, m := range page.DeleteMarkers {
			add(m.Key, m.VersionId, m.IsLatest, true)
		}
	}
	for key, list := range all {
		slices.SortFunc(list, func(a, b version) int {
			return cmp.Or(boolCompare(b.ID == latest[key], a.ID == latest[key]), strings.Compare(b.ID, a.ID))
		})
		readVersions(tb, c, key, list)
	}
	return all
}

func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	default:
		return -1
	}
}

// readVersions reads what is current, and every version by its ID.
func readVersions(tb testing.TB, c *s3.Client, key string, list []version) {
	tb.Helper()
	head, err := c.HeadObject(tb.Context(), &s3.HeadObjectInput{Bucket: aws.String(bucket), Key: &key})
	switch {
	case list[0].Marker && code(err) != "NotFound":
		tb.Errorf("%s: HEAD says %v, the listing has a marker on top", key, err)
	case !list[0].Marker && (err != nil || cmp.Or(aws.ToString(head.VersionId), "null") != list[0].ID):
		tb.Errorf("%s: HEAD says %+v, %v, the listing has %s on top", key, head, err, list[0].ID)
	}
	for i := range list {
		id := list[i].ID
		switch {
		case list[i].Marker:
		case i == 0:
			list[i].Body = get(tb, c, key, "")
		default:
			list[i].Body = get(tb, c, key, id)
		}
	}
}

// histories prepare a key for a delete.
var histories = map[string]func(t *testing.T, cfg devstore.Config, c *s3.Client, key string){
	"object": func(t *testing.T, _ devstore.Config, c *s3.Client, key string) {
		t.Helper()
		put(t, c, key, "object")
	},
	"overwritten": func(t *testing.T, _ devstore.Config, c *s3.Client, key string) {
		t.Helper()
		put(t, c, key, "object")
		put(t, c, key, "another")
	},
	"deleted": func(t *testing.T, _ devstore.Config, c *s3.Client, key string) {
		t.Helper()
		put(t, c, key, "object")
		remove(t, c, key)
	},
	"half overwritten": func(t *testing.T, cfg devstore.Config, c *s3.Client, key string) {
		t.Helper()
		put(t, c, key, "object")
		id := cmp.Or(aws.ToString(put(t, c, key, "another").VersionId), "null")
		if err := os.WriteFile(devstore.VersionFile(cfg.Dir, bucket, key, id), []byte("copy"), 0o600); err != nil {
			t.Fatal(err)
		}
	},
}

// TestDeleteThatEndsAnywhere ends deletes after each of their steps. Clients see the delete whole or not at all, and so do
// the operations that follow.
func TestDeleteThatEndsAnywhere(t *testing.T) {
	for _, status := range []types.BucketVersioningStatus{types.BucketVersioningStatusEnabled,
		types.BucketVersioningStatusSuspended} {
		cfg := config(t)
		c := connect(t, start(t, cfg), cfg.Client)
		for name, prepare := range histories {
			t.Run(fmt.Sprint(status, "/", name), func(t *testing.T) {
				endAnywhere(t, cfg, c, status, func(key string) {
					setVersioning(t, c, types.BucketVersioningStatusEnabled)
					put(t, c, key, "oldest")
					setVersioning(t, c, status)
					prepare(t, cfg, c, key)
				})
			})
		}
	}
}

func endAnywhere(t *testing.T, cfg devstore.Config, c *s3.Client, status types.BucketVersioningStatus,
	prepare func(key string)) {
	t.Helper()
	total := 1
	for n := 0; n <= total; n++ {
		for followUp, do := range followUps {
			key := fmt.Sprintf("%s/%d/%s", strings.ReplaceAll(t.Name(), " ", "-"), n, followUp)
			prepare(key)
			before := versions(t, c, key)[key]
			var id string
			id, total = beginDelete(t, cfg, key, status, n)
			got, deleted := versions(t, c, key)[key], withOnTop(before, version{ID: id, Marker: true})
			if !slices.Equal(got, before) && !slices.Equal(got, deleted) || n == 0 && !slices.Equal(got, before) ||
				n == total && !slices.Equal(got, deleted) {
				t.Fatalf("%s: after %d of %d steps: %+v; before %+v", key, n, total, got, before)
			}
			want := do(t, c, key, got)
			if got := versions(t, c, key)[key]; !slices.Equal(got, want) {
				t.Errorf("%s: then %+v, want %+v", key, got, want)
			}
		}
	}
}

// beginDelete takes the first n of all steps of a delete, and returns the ID of the marker.
func beginDelete(t *testing.T, cfg devstore.Config, key string, status types.BucketVersioningStatus, n int) (
	id string, total int) {
	t.Helper()
	steps, id, err := devstore.DeleteSteps(cfg.Dir, bucket, key, status)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range steps[:n] {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	return id, len(steps)
}

// withOnTop returns the versions with v on top, in the place of the one with its ID.
func withOnTop(list []version, v version) []version {
	list = slices.DeleteFunc(slices.Clone(list), func(old version) bool { return old.ID == v.ID })
	return slices.Insert(list, 0, v)
}

func setVersioning(t *testing.T, c *s3.Client, status types.BucketVersioningStatus) {
	t.Helper()
	if _, err := c.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{Bucket: aws.String(bucket),
		VersioningConfiguration: &types.VersioningConfiguration{Status: status}}); err != nil {
		t.Fatal(err)
	}
}

// followUps do something with a key that has these versions, and return those that it must have then.
var followUps = map[string]func(t *testing.T, c *s3.Client, key string, list []version) []version{
	"delete": func(t *testing.T, c *s3.Client, key string, list []version) []version {
		t.Helper()
		return withOnTop(list, version{ID: *remove(t, c, key).VersionId, Marker: true})
	},
	"overwrite": func(t *testing.T, c *s3.Client, key string, list []version) []version {
		t.Helper()
		id := cmp.Or(aws.ToString(put(t, c, key, "new").VersionId), "null")
		return withOnTop(list, version{ID: id, Body: "new"})
	},
	"remove": func(t *testing.T, c *s3.Client, key string, list []version) []version {
		t.Helper()
		for len(list) > 0 {
			if got := versions(t, c, key)[key]; !slices.Equal(got, list) {
				t.Errorf("%s: %+v, want %+v", key, got, list)
			}
			_, err := c.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(bucket), Key: &key,
				VersionId: &list[0].ID})
			if err != nil {
				t.Fatal(err)
			}
			list = list[1:]
		}
		return nil
	},
}
