package chaos

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/s3mesh/s3mesh/devstore"
	"github.com/s3mesh/s3mesh/internal/peer"
)

var (
	durationFlag = flag.Duration("chaos.duration", 0, "how long to go on (default 20s, and 3m in CI)")
	seedFlag     = flag.Uint64("chaos.seed", 0, "the seed of the first round (default: by the clock)")
	deletesFlag  = flag.Bool("chaos.deletes", true, "delete as well, with deletes: propagate")
	keepFlag     = flag.Bool("chaos.keep", false, "keep the folder of a round that passed, too")
)

const (
	shortRun, ciRun = 20 * time.Second, 3 * time.Minute
	// longestRound bounds what a round keeps on disk and in its log.
	longestRound = 3 * time.Minute
)

func TestMain(m *testing.M) {
	devstore.Main()
	flag.Parse()
	zerolog.SetGlobalLevel(zerolog.Disabled) // toxiproxy's toxics log every step
	code, err := peer.RunWithBinary(m)
	if err == nil && code == 0 {
		err = goleak.Find(toxiproxyLeaks()...)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		code = 1
	}
	os.Exit(code)
}

// toxiproxyLeaks are the goroutines that toxiproxy never ends: those of connections that a fault broke off.
func toxiproxyLeaks() []goleak.Option {
	const library = "github.com/Shopify/toxiproxy/v2"
	return []goleak.Option{
		goleak.IgnoreAnyFunction(library + ".(*ToxicLink).read"), goleak.IgnoreAnyFunction(library + ".(*ToxicLink).write"),
		goleak.IgnoreAnyFunction(library + "/toxics.(*ToxicStub).Run"),
	}
}

// duration is how long to go on in all.
func duration() time.Duration {
	switch {
	case *durationFlag > 0:
		return *durationFlag
	case os.Getenv(peer.RequireEnv) == "1":
		return ciRun
	default:
		return shortRun
	}
}

func firstSeed() uint64 {
	if *seedFlag != 0 {
		return *seedFlag
	}
	return uint64(time.Now().UnixNano()) % 1_000_000_000
}
