package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/internal/sample"
)

// uploadSamples writes the sample pictures in the first region, and waits until they are everywhere. What is there under
// their names already stays as it is: a folder that was kept may hold the user's own.
func (s *show) uploadSamples(ctx context.Context) error {
	card := s.demo.folder.card
	first := card.Sites[0]
	client := s3.New(s3.Options{Region: first.Region, BaseEndpoint: aws.String(s.demo.cluster.endpoint(first.Name)),
		UsePathStyle: true, Credentials: credentials.NewStaticCredentialsProvider(card.AccessKey, card.SecretKey, "")})
	images := sample.Images()
	fresh, err := missing(ctx, client, first.Bucket, images)
	if err != nil {
		return fmt.Errorf("look for the pictures in %s: %w", first.Name, err)
	}
	const next = "Now upload anything, anywhere; Ctrl-C ends the demo.\n\n"
	if len(fresh) == 0 {
		s.printf("\nAll %d pictures are already there. %s", len(images), next)
		return nil
	}
	already := ""
	if n := len(images) - len(fresh); n > 0 {
		already = fmt.Sprintf(" (%d more are already there)", n)
	}
	s.printf("\nUploading %d pictures to %s%s:\n", len(fresh), first.Name, already)
	if err := s.upload(ctx, client, fresh); err != nil {
		return err
	}
	if err := s.samples.wait(ctx); err != nil {
		return err
	}
	s.printf("All %d pictures are in all %d regions. %s", len(fresh), len(card.Sites), next)
	return nil
}

// missing returns the pictures whose key holds nothing.
func missing(ctx context.Context, client *s3.Client, bucket string, images []sample.Image) ([]sample.Image, error) {
	var fresh []sample.Image
	for _, image := range images {
		_, err := client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: &image.Key})
		var absent *types.NotFound
		switch {
		case errors.As(err, &absent):
			fresh = append(fresh, image)
		case err != nil:
			return nil, fmt.Errorf("%q: %w", image.Key, err)
		}
	}
	return fresh, nil
}

// upload writes pictures in the first region. Every other region is awaited for each from before it is written.
func (s *show) upload(ctx context.Context, client *s3.Client, images []sample.Image) error {
	sites := s.demo.folder.card.Sites
	for _, image := range images {
		for _, site := range sites[1:] {
			s.samples.expect(arrival{s3mesh.Link{Source: sites[0].Name, Target: site.Name}, image.Key})
		}
	}
	for _, image := range images {
		_, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: &sites[0].Bucket, Key: &image.Key,
			ContentType: &image.ContentType, Body: bytes.NewReader(image.Data)})
		if err != nil {
			return fmt.Errorf("upload %q to %s: %w", image.Key, sites[0].Name, err)
		}
	}
	return nil
}

// arrival is a key that came over a link.
type arrival struct {
	link s3mesh.Link
	key  string
}

// arrivals are those that are awaited. It is safe for concurrent use.
type arrivals struct {
	mu       sync.Mutex // held for a look into the map, never during output
	awaited  map[arrival]bool
	complete chan struct{} // closed once the last that was awaited has come
}

func newArrivals() *arrivals {
	return &arrivals{awaited: map[arrival]bool{}, complete: make(chan struct{})}
}

// expect adds one to await. All have to be added before the first can come.
func (a *arrivals) expect(one arrival) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.awaited[one] = true
}

// observe takes an outcome. A key has arrived when the target holds the source's version of it, or a later one.
func (a *arrivals) observe(out s3mesh.Outcome) {
	switch out.Result {
	case s3mesh.ResultReplicated, s3mesh.ResultConflictWon, s3mesh.ResultInSync, s3mesh.ResultSuperseded,
		s3mesh.ResultConflictLost:
	default:
		return
	}
	if out.Source != nil && out.Source.Deleted {
		return // what was under the key before
	}
	one := arrival{out.Task.Link, out.Task.Event.Key}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.awaited[one] {
		return
	}
	delete(a.awaited, one)
	if len(a.awaited) == 0 {
		close(a.complete)
	}
}

// wait waits until everything expected has come.
func (a *arrivals) wait(ctx context.Context) error {
	select {
	case <-a.complete:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
