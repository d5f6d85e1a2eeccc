package s3store

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/s3mesh/s3mesh"
)

const defaultRegion = "us-east-1"

// Config says which bucket to open, and how to reach it.
type Config struct {
	// Site is the name that errors carry.
	Site string
	// Endpoint is the base URL of the store; empty for Amazon S3 in Region.
	Endpoint string
	// Region signs the requests, and chooses the endpoint where that is empty. Empty means us-east-1.
	Region string
	// Bucket is the bucket's name.
	Bucket string
	// Credentials sign the requests. They are cached until they expire.
	Credentials aws.CredentialsProvider
	// PathStyle puts the bucket in the path rather than in the host name, as most products other than AWS need it.
	PathStyle bool
	// Transport, where set, takes the place of one from [NewTransport]. It must not follow redirects or retry writes.
	Transport http.RoundTripper
}

// NewTransport returns an HTTP transport for S3: many parallel connections kept alive, HTTP/1.1 (one TCP connection per
// request is what S3 scales by), bodies untouched. How long an answer is awaited is up to [Bucket], as it depends on the
// operation.
func NewTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		MaxIdleConns:           1024,
		MaxIdleConnsPerHost:    256,
		IdleConnTimeout:        15 * time.Second, // below the 20 s after which Amazon S3 hangs up
		TLSHandshakeTimeout:    10 * time.Second,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		WriteBufferSize:        32 << 10,
		ReadBufferSize:         32 << 10,
		DisableCompression:     true, // Content-Encoding belongs to the object
	}
}

// Open returns the bucket that cfg describes. It sends no request: whether the bucket is there and the credentials are
// good shows with the first operation. A fault in cfg is KindInvalid.
func Open(ctx context.Context, cfg Config) (*Bucket, error) {
	client, err := newClient(ctx, cfg)
	if err != nil {
		return nil, &s3mesh.Error{Kind: s3mesh.KindInvalid, Op: "Open", Site: cfg.Site, Err: err}
	}
	return &Bucket{client: client}, nil
}

func newClient(ctx context.Context, cfg Config) (*client, error) {
	switch {
	case cfg.Bucket == "":
		return nil, errors.New("no bucket name")
	case cfg.Credentials == nil:
		return nil, errors.New("no credentials")
	}
	if cfg.Region == "" {
		cfg.Region = defaultRegion
	}
	if cfg.Transport == nil {
		cfg.Transport = NewTransport()
	}
	base, err := resolveEndpoint(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return &client{
		site:      cfg.Site,
		region:    cfg.Region,
		base:      base,
		exactKeys: cfg.Endpoint == "",
		transport: &impatient{RoundTripper: cfg.Transport, limits: defaultLimits()},
		creds:     aws.NewCredentialsCache(cfg.Credentials),
		signer:    v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }),
	}, nil
}

// resolveEndpoint applies the SDK's endpoint rules (partitions, host or path style) once, as they depend on nothing that
// changes between requests.
func resolveEndpoint(ctx context.Context, cfg Config) (url.URL, error) {
	params := s3.EndpointParameters{
		Region:         &cfg.Region,
		Bucket:         &cfg.Bucket,
		ForcePathStyle: &cfg.PathStyle,
	}
	if cfg.Endpoint != "" {
		u, err := url.Parse(cfg.Endpoint)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil {
			return url.URL{}, errors.New("the endpoint must be a URL such as https://s3.example.org")
		}
		params.Endpoint = &cfg.Endpoint
	}
	endpoint, err := s3.NewDefaultEndpointResolverV2().ResolveEndpoint(ctx, params.WithDefaults())
	if err != nil {
		return url.URL{}, fmt.Errorf("endpoint of bucket %q in %s: %w", cfg.Bucket, cfg.Region, err)
	}
	return endpoint.URI, nil
}
